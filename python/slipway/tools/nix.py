"""Nix, in its own verbs: build systems, keep them, copy them. Works with Debian's 2.8 and with today's."""

from __future__ import annotations

import grp
import json
import os
import re
import secrets
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipway.errors import DeployFailed, InvalidInput, PrerequisiteMissing
from slipway.result import NO_SENSE, CommandFailed, CommandResult
from slipway.secret import Secret
from slipway.tools.run import OnLine, run

FEATURES = ("--extra-experimental-features", "nix-command flakes")
QUESTION = 60.0
"""Seconds for Nix to say what it is."""
NOISE = ("warning: Git tree", "warning: the group 'nixbld'", "warning: not writing modified lock file")

ROOTS = ".roots"
"""Folder of links beside those that are named after hosts; no host's name begins so."""

_COPY = re.compile(r"(/nix/store/[0-9a-z]{32}-source|«git\+file:[^»]*»)/")
"""What stands for the repository in messages: its copy in the store, or its name in newer versions."""


class EvaluationFailed(InvalidInput):
    """The configuration of some host is no system: a mistake in files that the message names."""


class BuildFailed(DeployFailed):
    """Evaluation went well, a build did not."""


@dataclass(frozen=True)
class Elsewhere:
    """Another machine's store (ssh-ng://...), and the options for the OpenSSH client below it."""

    store: str
    ssh: Sequence[str]

    @property
    def environment(self) -> dict[str, str]:
        """Nix splits the variable like a shell; old ones at blanks alone, which is the same unless a path has one."""
        return {"NIX_SSHOPTS": shlex.join(self.ssh)}


def build(
    flake: Path,
    hosts: Sequence[str],
    *,
    options: Mapping[str, str],
    timeout: float,
    on_line: OnLine | None = None,
    at: Elsewhere | None = None,
) -> dict[str, str]:
    """Build the systems of `hosts` in one call; return the toplevel of each, a path of the local store.

    `at`: evaluated here, built there, and brought here. Raises EvaluationFailed, BuildFailed, or InvalidInput where a
    system calls itself something else than its host.
    """
    installables = [f'{flake}#nixosConfigurations."{host}".config.system.build.toplevel' for host in hosts]
    there = ["--store", at.store, "--eval-store", "auto"] if at else []
    argv = ["nix", *FEATURES, "build", *installables, "--no-link", "--json", "--keep-going", *there, *_options(options)]
    environment = at.environment if at else None
    result = run(argv, timeout=timeout, check=False, on_line=_quietly(on_line), env=environment)
    if not result.ok:
        raise _failure(result, flake)
    built = [str(entry["outputs"]["out"]) for entry in json.loads(result.stdout)]
    if at is not None:
        bring = ["nix", *FEATURES, "copy", "--no-check-sigs", "--from", at.store, *built, *_options(options)]
        run(bring, env=environment, timeout=timeout, on_line=_quietly(on_line))
    return _by_host(built, hosts)


def output(
    flake: Path,
    host: str,
    name: str,
    *,
    options: Mapping[str, str],
    timeout: float,
    on_line: OnLine | None = None,
) -> str:
    """Build `config.system.build.NAME` of one host, such as disko's scripts; return its store path.

    Raises EvaluationFailed or BuildFailed.
    """
    installable = f'{flake}#nixosConfigurations."{host}".config.system.build.{name}'
    argv = ["nix", *FEATURES, "build", installable, "--no-link", "--json", *_options(options)]
    result = run(argv, timeout=timeout, check=False, on_line=_quietly(on_line))
    if not result.ok:
        raise _failure(result, flake)
    (built,) = json.loads(result.stdout)
    return str(built["outputs"]["out"])


def value(flake: Path, host: str, name: str, *, apply: str, options: Mapping[str, str], timeout: float) -> Any:  # noqa: ANN401 (plain data, as JSON has it)
    """What the Nix function `apply` makes of `config.NAME` of one host. Raises EvaluationFailed."""
    installable = f'{flake}#nixosConfigurations."{host}".config.{name}'
    argv = ["nix", *FEATURES, "eval", "--json", installable, "--apply", apply, *_options(options)]
    result = run(argv, timeout=timeout, check=False)
    if not result.ok:
        raise _failure(result, flake)
    return json.loads(result.stdout)


@dataclass(frozen=True)
class Graph:
    """Store paths of the local store: what each refers to, and its size in bytes as a Nix archive."""

    references: Mapping[str, Sequence[str]]
    sizes: Mapping[str, int]

    def closure(self, path: str) -> frozenset[str]:
        """The path and all that it needs."""
        found, left = {path}, [path]
        while left:
            more = set(self.references[left.pop()]) - found
            found |= more
            left += more
        return frozenset(found)


def graph(paths: Iterable[str], *, timeout: float) -> Graph:
    """The closures of these paths, which are valid in the local store."""
    said = json.loads(run(["nix", *FEATURES, "path-info", "--json", "--recursive", *paths], timeout=timeout).stdout)
    # A list of objects until Nix 2.18, then an object by path.
    infos = said.items() if isinstance(said, dict) else ((info["path"], info) for info in said)
    by_path = {str(path): info for path, info in infos}
    return Graph(
        {path: tuple(info["references"]) for path, info in by_path.items()},
        {path: int(info["narSize"]) for path, info in by_path.items()},
    )


def keep(systems: Mapping[str, str], folder: Path, *, options: Mapping[str, str]) -> None:
    """Protect the systems from the garbage collector, each until its host has another one.

    `folder` has a link per host, which says what is to be kept. What Nix heeds are its own links to the same, below
    ROOTS: it makes any number of them in one call, and names them itself.
    """
    roots = folder / ROOTS
    roots.mkdir(parents=True, exist_ok=True)
    for host, system in systems.items():
        _link(folder / host, system)
    there = _links(roots)
    lacking = sorted({*systems.values()} - {*there.values()})
    if lacking:
        first = str(roots / secrets.token_hex(8))
        run(["nix-store", *_options(options), "--realise", *lacking, "--add-root", first, "--indirect"])
    wanted = {*_links(folder).values()}
    for link in (link for link, system in there.items() if system not in wanted):
        link.unlink(missing_ok=True)


def _links(folder: Path) -> dict[Path, str]:
    """Each symbolic link in it, and where it leads."""
    return {path: str(path.readlink()) for path in folder.iterdir() if path.is_symlink()}


def _link(path: Path, target: str) -> None:
    """As a whole: there is always one of the two."""
    if path.is_symlink() and str(path.readlink()) == target:
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    temporary.symlink_to(target)
    temporary.replace(path)


def copy(
    paths: Iterable[str],
    store: str,
    *,
    ssh: Sequence[str],
    options: Mapping[str, str],
    timeout: float,
    on_line: OnLine | None = None,
    substitute: bool = True,
) -> None:
    """Copy closures to `store` (ssh-ng://...); `ssh` are the options for the OpenSSH client below it. `substitute`: the
    machine fetches what its own binary caches have.

    Signatures are not asked for: we built these paths, and root on the other side trusts us anyway.
    """
    how = ["--no-check-sigs", *(["--substitute-on-destination"] if substitute else [])]
    argv = ["nix", *FEATURES, "copy", *how, "--to", store, *paths]
    environment = Elsewhere(store, ssh).environment
    run([*argv, *_options(options)], env=environment, timeout=timeout, on_line=_quietly(on_line))


@dataclass(frozen=True)
class CacheKeys:
    """What filling a binary cache takes. `signing` is of `nix-store --generate-binary-cache-key`: NAME:BASE64.
    `account` is of S3, by the names that its variables have; without one Nix looks where AWS's own programs look."""

    signing: Secret
    account: Mapping[str, Secret] = field(default_factory=dict)


def upload(
    paths: Iterable[str],
    cache: str,
    keys: CacheKeys,
    *,
    options: Mapping[str, str],
    timeout: float,
    on_line: OnLine | None = None,
) -> None:
    """Copy closures to a binary cache (s3://..., https://..., file://...) and sign them there; what it has is left.

    Nix reads the key that signs from a file, and no other way.
    """
    account = {name: value.reveal().decode() for name, value in keys.account.items()}
    with keys.signing.as_file() as path:
        signed = f"{cache}{'&' if '?' in cache else '?'}secret-key={path}"
        argv = ["nix", *FEATURES, "copy", "--no-check-sigs", "--to", signed, *paths]
        run([*argv, *_options(options)], env=account, timeout=timeout, on_line=_quietly(on_line))


def require_opens(cache: str) -> None:
    """Raises PrerequisiteMissing where this Nix, as Debian's, was built without S3 and the cache is a bucket; one that
    says of no kind of store whether it has it is taken to have all."""
    if not cache.startswith("s3:"):
        return
    kinds = _kinds_of_stores()
    if kinds and not any(kind.startswith("S3 ") for kind in kinds):
        raise PrerequisiteMissing(
            f"{cache}: the Nix of this machine was built without S3, as Debian's is, and can write to no bucket",
            hint="nix shell nixpkgs#nix -c slipway deploy; or give deploy.cache as https://..., which takes PUT",
        )


def _kinds_of_stores() -> Collection[str]:
    """By the names that Nix's manual has for them; empty where Nix does not say. What lists them went by another name
    until 2.18."""
    for words, key in ((["describe-stores", "--json"], None), (["__dump-cli"], "stores")):
        result = run(["nix", *FEATURES, *words], check=False, timeout=QUESTION)
        try:
            said = json.loads(result.stdout) if result.ok else {}
            found = said[key] if key else said
        except NO_SENSE:
            continue
        if isinstance(found, dict) and found:
            return tuple(found)
    return ()


def _options(options: Mapping[str, str]) -> list[str]:
    return as_options({**_for_root_alone(), **options})


def as_options(options: Mapping[str, str]) -> list[str]:
    """Settings of Nix, name to value, as words of any of its commands."""
    return [word for name, value in options.items() for word in ("--option", name, value)]


def _for_root_alone() -> dict[str, str]:
    """Root without Nix's build users, as Debian's package leaves it: builds then run as root, or not at all."""
    if os.geteuid() != 0:
        return {}
    try:
        grp.getgrnam("nixbld")
    except KeyError:
        return {"build-users-group": ""}
    return {}


def _by_host(systems: Iterable[str], hosts: Sequence[str]) -> dict[str, str]:
    """Nix gives the results in an order of its own, so each system is asked for its name."""
    names = {_hostname(system): system for system in systems}
    strangers = [host for host in hosts if host not in names]
    if strangers:
        others = ", ".join(sorted(set(names) - set(hosts)))
        raise InvalidInput(
            f"the system of {', '.join(strangers)} calls itself otherwise ({others}): "
            "networking.hostName has to be the name in the inventory",
            hint="look for networking.hostName in hosts/ and modules/",
        )
    return {host: names[host] for host in hosts}


def _hostname(system: str) -> str:
    path = Path(system) / "etc" / "hostname"
    return path.read_text(encoding="utf-8").strip() if path.exists() else f"{system} without a name"


def _quietly(on_line: OnLine | None) -> OnLine | None:
    if on_line is None:
        return None

    def pass_on(line: str) -> None:
        if line.strip() and not line.startswith(NOISE):
            on_line(line.strip())

    return pass_on


def _failure(result: CommandResult, flake: Path) -> InvalidInput | DeployFailed | CommandFailed:
    if result.exit_code < 0:
        return CommandFailed(result)
    builds = ("builder for '", "Cannot build '", "build of '", "dependencies of derivation '")
    lines = [line for line in result.stderr.splitlines() if not line.startswith(NOISE)]
    errors = [number for number, line in enumerate(lines) if re.match(r"\s*error:", line)]
    if not errors:
        return CommandFailed(result)
    if any(word in line for line in lines for word in builds):
        return BuildFailed("the build failed\n" + _text(lines[errors[0] :], flake))
    # Evaluation errors come as a trace whose last `error:` is the cause; what lies above it says how Nix got there.
    cause = next((number for number in reversed(errors) if lines[number].strip() != "error:"), errors[-1])
    missing = re.search(r"does not provide attribute .*nixosConfigurations\.\"([^\"]+)\"", lines[cause])
    if missing:
        return EvaluationFailed(
            f"the flake in {flake} has no system for {missing[1]}", hint="slipway generate; flakes see what Git knows"
        )
    through = _own_places(lines[:cause], flake)
    return EvaluationFailed(_text(lines[cause:], flake) + "".join(f"\nfrom {place}" for place in through))


def _text(lines: Iterable[str], flake: Path) -> str:
    shown = [_COPY.sub(f"{flake}/", line).rstrip() for line in lines]
    text = "\n".join(shown).strip()
    return re.sub(r"^error:\s*", "", re.sub(r"\n{2,}", "\n", text))


def _own_places(trace: Iterable[str], flake: Path) -> list[str]:
    """`file:line:column` of the repository's own files in a trace, innermost first, each once."""
    places = [found[1] for line in trace if (found := re.search(r"\bat (\S+?:\d+:\d+):?$", line))]
    own = [place for place in (_COPY.sub(f"{flake}/", place) for place in places) if place.startswith(f"{flake}/")]
    existing = [place for place in own if Path(place.split(":")[0]).exists()]
    return list(dict.fromkeys(reversed(existing)))
