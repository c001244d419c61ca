"""Loading an inventory: read, merge, validate, cross-check; all mistakes at once."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from slipway.errors import InvalidInput
from slipway.inventory import meant, messages, partial
from slipway.inventory.builder import Builder
from slipway.inventory.checks import Finding, check
from slipway.inventory.checks.stages import git_node
from slipway.inventory.merge import merge, origin_of
from slipway.inventory.model import (
    API_VERSION,
    INHERITED,
    Cluster,
    Deploy,
    Document,
    File,
    Host,
    Layers,
    Mirrors,
    Stages,
    Verify,
)
from slipway.inventory.problem import InvalidInventory, Problem
from slipway.inventory.reader import Reader
from slipway.inventory.source import Data, Keys, Source, dotted, in_file_order

FILE_NAME = "inventory.yaml"


@dataclass(frozen=True, repr=False)
class Inventory:
    """A valid inventory. `hosts` in the order of the file, each with everything that it inherits."""

    path: Path
    cluster: Cluster
    hosts: tuple[Host, ...]
    deploy: Deploy
    verify: Verify
    stages: Stages
    mirrors: Mirrors
    warnings: tuple[Problem, ...] = ()

    def __repr__(self) -> str:
        return f"<Inventory {self.path}: {len(self.hosts)} hosts>"

    @property
    def root(self) -> Path:
        """The user's repository."""
        return self.path.parent

    @cached_property
    def controllers(self) -> tuple[Host, ...]:
        return tuple(host for host in self.hosts if host.is_controller)

    @cached_property
    def workers(self) -> tuple[Host, ...]:
        """Hosts that are workers and nothing else."""
        return tuple(host for host in self.hosts if not host.is_controller)

    @property
    def node_local_load_balancing(self) -> bool:
        """Whether every worker runs k0s's proxy to all controllers."""
        return self.cluster.network.balances_locally(len(self.controllers))

    @property
    def git_node(self) -> str | None:
        """Host whose disk holds the first Git server: as said, else the first that takes any pod, None without one."""
        return git_node(self.stages, self.hosts)

    @cached_property
    def _by_name(self) -> dict[str, Host]:
        return {host.name: host for host in self.hosts}

    def host(self, name: str) -> Host:
        """The host of that name. Raises InvalidInput, with the nearest known name."""
        if name in self._by_name:
            return self._by_name[name]
        near = messages.did_you_mean(name, self._by_name)
        raise InvalidInput(f"no host {name!r} in {self.path}{near}", hint="slipway inventory list")


def load(path: Path, *, to_start: bool = False) -> Inventory:
    """The inventory at `path`, a file or the folder that holds inventory.yaml.

    Raises InvalidInventory with every problem of the file and of those that it includes; `to_start` also where all that
    is wrong is that such a cluster could not start.
    """
    with _without_gc():
        source, data = read(path)
        return _inventory(source, data, to_start=to_start)


def read(path: Path) -> tuple[Source, dict[str, Data]]:
    """The inventory's files as nodes with places and as plain data, not yet merged or validated."""
    file, reader = path, Reader()
    try:
        file = path / FILE_NAME if path.is_dir() else path
        source = reader.read(file)
    except FileNotFoundError:
        raise InvalidInventory(
            [Problem(str(file), 1, 1, "yaml", "no such file")],
            hint="slipway init DIR writes one; -i FILE names another",
        ) from None
    except OSError as error:
        raise InvalidInventory([Problem(str(file), 1, 1, "yaml", error.strerror or str(error))]) from None
    builder = Builder()
    data = builder.build(source) if source else {}
    problems = [*reader.problems, *builder.problems]
    if source is None or not data:
        raise InvalidInventory(in_file_order(problems, str(file)))
    if "apiVersion" not in data or (builder.has_empty and any(_unknown_empty_keys(source, data, ()))):
        problems += meant.put_right(source, data)
    problems += _version_problems(source, data)
    if data.get("apiVersion", API_VERSION) != API_VERSION:
        raise InvalidInventory(in_file_order(problems, str(file)))
    if builder.has_empty:
        problems += _unknown_empty_keys(source, data, ())
    if problems:
        places = set(map(_place, problems))
        more = _mistakes(source, data, between=not reader.problems)
        more = [one for one in more if _place(one) not in places]
        raise InvalidInventory(in_file_order([*problems, *more], str(file)))
    return source, data


def _place(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line, problem.column


def _version_problems(source: Source, data: dict[str, Data]) -> Iterator[Problem]:
    """A file of another version is not worth reading further: its other keys may mean other things."""
    version = data.get("apiVersion")
    if version == API_VERSION:
        return
    message = f"{version!r} is not a version that this slipway reads; it reads {API_VERSION}"
    if version is None:
        message = f"required key 'apiVersion' is missing; begin the file with `apiVersion: {API_VERSION}`"
    elif isinstance(version, str) and version.startswith("slipway/v") and version[9:].isdecimal():
        message = f"{version!r} is newer than this slipway, which reads {API_VERSION}; update slipway"
    yield source.place(("apiVersion",)).problem("apiVersion", message)


def _unknown_empty_keys(source: Source, value: Data, path: Keys) -> Iterator[Problem]:
    """Unknown keys without a value: merging drops what is empty, so that the model does not see them."""
    known = messages.keys_at(File, path) if isinstance(value, dict) else []
    for key, inner in value.items() if isinstance(value, dict) else ():
        here = (*path, key)
        if inner is None and known and key not in known and not (len(path) == 0 and key.startswith("x-")):
            yield source.place(here, key=True).problem(here, messages.unknown_key(here, File))
        yield from _unknown_empty_keys(source, inner, here)


def _inventory(source: Source, data: dict[str, Data], *, to_start: bool) -> Inventory:
    document, found, _ = _validate(source, data)
    findings = list(check(document, to_start=to_start)) if document is not None else []
    if document is None or found or not all(finding.warning for finding in findings):
        raise InvalidInventory(in_file_order(_mistakes(source, data), source.main))
    warnings = _told(source, data, (finding for finding in findings if finding.warning))
    return Inventory(
        path=Path(source.main),
        cluster=document.cluster,
        hosts=tuple(document.hosts.values()),
        deploy=document.deploy,
        verify=document.verify,
        stages=document.stages,
        mirrors=document.mirrors,
        warnings=tuple(in_file_order(warnings, source.main)),
    )


def _mistakes(source: Source, data: dict[str, Data], *, between: bool = True) -> list[Problem]:
    """Everything that is wrong with files that are refused; `between` their values too, unless some file is missing."""
    slips = meant.put_right(source, data)
    document, found, errors = _validate(source, data)
    if not between:
        return [*slips, *found]
    if document is None:
        origins = ((error, origin_of(source, data, partial.path_of(error))) for error in errors)
        findings = partial.findings(merge(data), origins, _context(source))
    else:
        findings = (finding for finding in check(document, to_start=True) if not finding.warning)
    places = set(map(_place, found))
    return [*slips, *found, *(one for one in _told(source, data, findings) if _place(one) not in places)]


def _context(source: Source) -> dict[str, object]:
    return {"root": Path(source.main).parent, INHERITED: {}}


def _validate(source: Source, data: dict[str, Data]) -> tuple[Document | None, list[Problem], list[ErrorDetails]]:
    """The merged inventory as the model has it, if it can have it, what is wrong, and what the model said of that."""
    merged, context = merge(data), _context(source)
    problems, errors = list(_name_problems(source, data)), list[ErrorDetails]()
    document = None
    try:
        Layers.model_validate(merged, context=context)
    except ValidationError as error:
        kept = [one for one in error.errors(include_url=False) if one["type"] != "missing"]
        problems += _model_problems(kept, source, data)
    try:
        document = Document.model_validate(merged, context=context)
    except ValidationError as error:
        errors = error.errors(include_url=False)
        problems += _model_problems(errors, source, data)
    return document, problems, errors


def _name_problems(source: Source, data: dict[str, Data]) -> Iterator[Problem]:
    hosts = data.get("hosts")
    for name, entry in hosts.items() if isinstance(hosts, dict) else ():
        if isinstance(entry, dict) and "name" in entry:
            path = ("hosts", name, "name")
            yield source.place(path, key=True).problem(
                path, f"unknown key 'name'; the entry's key, {name!r}, is the name"
            )


def _model_problems(errors: Iterable[ErrorDetails], source: Source, data: dict[str, Data]) -> Iterator[Problem]:
    errors = list(errors)
    around = {error["loc"][:length] for error in errors for length in range(len(error["loc"]))}
    for error in errors:
        if error["type"] == "too_short" and error["loc"] in around:
            continue  # pydantic does not count entries that are wrong themselves
        if len(error["loc"]) == 3 and error["loc"][0] == "hosts" and error["loc"][2] == "name":
            continue  # the loader put it there; the entry's key has the same error
        path = partial.path_of(error)
        about_key = error["type"] == "extra_forbidden" or "[key]" in error["loc"]
        # A missing key may be inherited from anywhere; but lists come as a whole, and their entries from one place.
        listed = any(isinstance(part, int) for part in path)
        origin = path if error["type"] == "missing" and not listed else origin_of(source, data, path)
        message = messages.message_of(error, origin, File)
        yield source.place(origin, key=about_key).problem(origin, message)


def _told(source: Source, data: dict[str, Data], findings: Iterable[Finding]) -> list[Problem]:
    """Findings of the cross-checks with the places that they speak of; what many hosts inherit is told once."""
    problems: dict[tuple[Keys, str], Problem] = {}
    for finding in findings:
        origin = origin_of(source, data, finding.path)
        if (origin, finding.message) in problems:
            continue
        message = finding.message
        if finding.other is not None:
            other = origin_of(source, data, finding.other)
            written = source.find(other) is not None
            where = f"at {source.place(other)}" if written else "(by default)"
            named = f"{dotted(other)} {where}"
            if other == origin and finding.other[:2] != finding.path[:2]:
                named = f"{dotted(finding.other[:2])}; {dotted(finding.path[:2])} inherits the same"
            message = message.replace("{}", named)
        place = source.place(origin, key=finding.about_key)
        problems[origin, finding.message] = place.problem(origin, message)
    return list(problems.values())


@contextmanager
def _without_gc() -> Iterator[None]:
    """No garbage collection meanwhile: it would walk the growing trees again and again, for half of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            # Into the oldest generation without a visit: else the next allocation would walk all that was made.
            gc.freeze()
            gc.unfreeze()
            gc.enable()
