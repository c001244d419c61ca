"""The program restic. Passwords go by memory-backed files, the keys of the account by the environment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from slipway.errors import InvalidInput, SlipwayError
from slipway.result import NO_SENSE, CommandFailed, CommandResult
from slipway.secret import Secret
from slipway.tools import s3
from slipway.tools.run import run

NO_REPOSITORY, WRONG_PASSWORD = 10, 12
"""Exit codes of restic since 0.17 (restic, doc/075_scripting.rst)."""
TIMEOUT = 120.0
RESTORE_TIMEOUT = 3600.0
ACCOUNT = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", s3.REGION_NAME)


class NoRepository(SlipwayError):
    """There is no repository at the address."""


class AccountRefused(SlipwayError):
    """The S3 account is not let in."""


class ForeignRepository(SlipwayError):
    """The password opens none of the repository's keys."""


@dataclass(frozen=True)
class Repository:
    """Where, and by what it is opened: the values of a Secret for VolSync."""

    address: str
    password: Secret
    account: Mapping[str, Secret]

    @classmethod
    def of(cls, values: Mapping[str, Secret]) -> Repository:
        account = {name: values[name] for name in ACCOUNT if name in values}
        return cls(values["RESTIC_REPOSITORY"].reveal().decode(), values["RESTIC_PASSWORD"], account)


@dataclass(frozen=True)
class Snapshot:
    id: str
    time: datetime


def newest(repository: Repository) -> Snapshot | None:
    """The newest snapshot, if there is any. Raises NoRepository, ForeignRepository, AccountRefused."""
    _ask_s3(repository)
    said = _restic(repository, "snapshots", "--json", "--no-lock").stdout
    found = [Snapshot(each["id"], datetime.fromisoformat(_micros(each["time"]))) for each in _list(repository, said)]
    return max(found, key=lambda each: each.time, default=None)


def _micros(time: str) -> str:
    """restic has nanoseconds, which datetime does not take before Python 3.12."""
    head, dot, tail = time.partition(".")
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    return f"{head}{dot}{digits[:6]}{tail[len(digits) :]}" if dot else time


def restore(repository: Repository, snapshot: Snapshot, target: Path) -> None:
    """Write what the snapshot holds below `target`."""
    words = ("restore", snapshot.id, "--target", str(target), "--no-lock")
    _restic(repository, *words, timeout=RESTORE_TIMEOUT)


def exists(repository: Repository) -> bool:
    """Whether there is a repository that the password opens. Raises ForeignRepository where it does not, and
    AccountRefused."""
    try:
        _ask_s3(repository)
        _restic(repository, "cat", "config", "--no-lock")
    except NoRepository:
        return False
    return True


def add_password(repository: Repository, password: Secret) -> None:
    """Let one more password open it."""
    with password.as_file() as file:
        _restic(repository, "key", "add", "--new-password-file", file)


def remove_password(repository: Repository, password: Secret) -> None:
    """Let a password open it no more; it may be one that opens nothing already."""
    try:
        said = _restic(Repository(repository.address, password, repository.account), "key", "list", "--json").stdout
    except ForeignRepository:
        return
    current = [each["id"] for each in _list(repository, said) if each.get("current")]
    for each in current:
        _restic(repository, "key", "remove", str(each))


def _ask_s3(repository: Repository) -> None:
    """Whether there is one that this account reads: where there is none, not even a bucket, restic asks for minutes."""
    try:
        place, account = s3.Place.parse(f"{repository.address}/config"), s3.Account.of(repository.account)
    except InvalidInput:
        # An address in another of restic's forms: restic itself will tell.
        return
    try:
        s3.read(place, account)
    except s3.S3Refused as refused:
        if refused.status == HTTPStatus.NOT_FOUND:
            raise NoRepository(f"{repository.address}: there is no repository") from None
        if refused.status == HTTPStatus.FORBIDDEN:
            raise AccountRefused(f"{repository.address}: the S3 account {account.key} is not let in") from None
        if not refused.status:
            raise
        # Anything else, such as another region's address: restic itself may get on, or will tell.


def _list(repository: Repository, said: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(said)
        return [each for each in found if isinstance(each, dict)]
    except NO_SENSE as error:
        raise SlipwayError(f"{repository.address}: restic's answer is no list: {type(error).__name__}") from error


def _restic(repository: Repository, *words: str, timeout: float = TIMEOUT) -> CommandResult:
    with _environment(repository) as environment:
        try:
            return run(["restic", "--no-cache", *words], env=environment, timeout=timeout)
        except CommandFailed as failed:
            raise _explained(repository, failed) from None


@contextmanager
def _environment(repository: Repository) -> Iterator[dict[str, str]]:
    account = {name: value.reveal().decode() for name, value in repository.account.items()}
    # What the caller's own shell has for another repository must not count.
    others = {"RESTIC_PASSWORD": "", "RESTIC_PASSWORD_COMMAND": "", "RESTIC_REPOSITORY_FILE": ""}
    with repository.password.as_file() as file:
        yield {**others, **account, "RESTIC_REPOSITORY": repository.address, "RESTIC_PASSWORD_FILE": file}


def _explained(repository: Repository, failed: CommandFailed) -> Exception:
    match failed.result.exit_code:
        case code if code == NO_REPOSITORY:
            return NoRepository(f"{repository.address}: there is no repository")
        case code if code == WRONG_PASSWORD:
            return ForeignRepository(f"{repository.address}: the password opens none of its keys")
    return failed
