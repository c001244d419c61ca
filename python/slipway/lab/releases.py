"""k0s as its makers publish it, for the lab: downloaded once, and taken only if it has the hash of our table."""

from __future__ import annotations

import base64
import hashlib
import http.client
import platform
import time
import urllib.error
import urllib.request
from pathlib import Path

from slipway.errors import PrerequisiteMissing, SlipwayError, UsageError
from slipway.events import Events
from slipway.inventory.releases import known_releases, newest_release
from slipway.lab import locks
from slipway.lab.settings import lab_cache
from slipway.paths import resource

PHASE = "release"
BASE = "https://github.com/k0sproject/k0s/releases/download"
DOWNLOAD_TIMEOUT = 1800.0
"""Seconds for one whole download, and for another process that is at the same one."""
SILENCE_TIMEOUT = 30.0
"""Seconds in which a server may say nothing."""
PROGRESS_EVERY = 2.0
CHUNK = 1 << 20
LARGEST = 1 << 30
"""Bytes; a release with everything embedded has about 300 MB. What a server sends beyond this is not k0s."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def k0s(version: str, events: Events, base: str = BASE) -> Path:
    """The program of this release, in the cache, with the hash that our table has for this processor.

    A download that was cut off goes on where it stopped. Raises UsageError for a release that the table does not
    have, PrerequisiteMissing for one that could not be downloaded, SlipwayError for one with another hash.
    """
    machine = platform.machine()
    expected = _hash(version, machine)
    name = f"k0s-v{version}-{ARCHITECTURES[machine]}"
    program = lab_cache() / "releases" / name
    turn = program.with_name(f".{name}.lock")
    with locks.held(turn, deadline=DOWNLOAD_TIMEOUT, describe=f"{name}: the turn to download it", on_wait=_quiet):
        # It is hashed again each time: 1 s, and a file that the disk lost parts of is no release.
        if not program.is_file() or _hash_of(program) != expected:
            _fetch(f"{base}/v{version}/{name}".replace("+", "%2B"), program, expected, events)
    return program


def _quiet(_seen: str) -> None:
    """The process that has the turn shows the progress."""


def _hash(version: str, machine: str) -> str:
    hashes = known_releases().get(version)
    if hashes is None:
        raise UsageError(
            f"--k0s {version}: no such release in {resource('nixos') / 'pkgs/k0s/versions.json'}",
            hint=f"the newest one there: --k0s {newest_release()}",
        )
    found = hashes.get(f"{machine}-linux")
    if found is None or machine not in ARCHITECTURES:
        raise UsageError(f"--k0s {version}: no hash of it for {machine} is known")
    return found


def _fetch(url: str, program: Path, expected: str, events: Events) -> None:
    part = program.with_name(f".{program.name}.part")
    began = time.monotonic()
    events.emit(PHASE, "started", name=program.name, text=f"downloading {url}")
    try:
        _download(url, part, events, began + DOWNLOAD_TIMEOUT)
    except (OSError, http.client.HTTPException) as error:
        raise PrerequisiteMissing(
            f"{url}: {getattr(error, 'reason', error)}",
            hint="run it again, it goes on where it stopped; or download it otherwise: SLIPWAY_LAB_K0S=/path/to/k0s",
        ) from error
    _accept(part, program, url, expected)
    size, seconds = program.stat().st_size, time.monotonic() - began
    text = f"{program.name}: {size / 1e6:.0f} MB in {seconds:.0f} s, its hash is the pinned one"
    events.emit(PHASE, "done", name=program.name, bytes=size, seconds=round(seconds, 1), text=text)


def _download(url: str, part: Path, events: Events, deadline: float) -> None:
    """Complete `part`. A server that cannot go on from the middle sends it all, and it begins anew."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})  # noqa: S310 - our URL
    try:
        answer = urllib.request.urlopen(request, timeout=SILENCE_TIMEOUT)  # noqa: S310 - our URL
    except urllib.error.HTTPError as error:
        error.close()
        if have and error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE:
            return  # all of it is there, and its hash will tell
        raise
    with answer:
        goes_on = answer.status == http.client.PARTIAL_CONTENT
        _store(answer, part, have if goes_on else 0, events, deadline)


def _store(answer: http.client.HTTPResponse, part: Path, have: int, events: Events, deadline: float) -> None:
    total = have + int(answer.headers.get("Content-Length") or 0)
    said = time.monotonic()
    with part.open("ab" if have else "wb") as stream:
        while chunk := answer.read1(CHUNK):
            have += stream.write(chunk)
            now = time.monotonic()
            if now > deadline or have > LARGEST:
                raise TimeoutError(f"given up after {have / 1e6:.0f} MB: it takes too long, or is too large for k0s")
            if now - said >= PROGRESS_EVERY:
                said = now
                events.emit(PHASE, "progress", bytes=have, text=f"{have / 1e6:.0f} of {total / 1e6:.0f} MB")
    if have < total:
        raise ConnectionError(f"the connection ended after {have} of {total} bytes")


def _accept(part: Path, program: Path, url: str, expected: str) -> None:
    found = _hash_of(part)
    if found != expected:
        part.unlink()
        raise SlipwayError(
            f"{url}: its hash is {found}, the pinned one is {expected}; it was deleted",
            hint="try once more: a cache on the way may have sent something else; do not use a file with this hash",
        )
    part.chmod(0o755)
    part.replace(program)


def _hash_of(path: Path) -> str:
    """As Nix and Subresource Integrity write it: sha256-<base64>."""
    with path.open("rb") as stream:
        return f"sha256-{base64.b64encode(hashlib.file_digest(stream, 'sha256').digest()).decode()}"
