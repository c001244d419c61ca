"""The pytest plugin of a verification: the fixtures that packs use, and the verdict on each check.

A pack is an ordinary folder of pytest-testinfra files. Its checks are collected once, for all nodes; which node is
asked is known by the process that runs them (worker.py), through `asking`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from slipway.inventory import Host, Inventory
from slipway.verify.asked import Facts
from slipway.verify.backend import NodeHost, SlipwayBackend
from slipway.verify.canary import Canaries
from slipway.verify.check import Red
from slipway.verify.result import Check, Finding, Verdict
from slipway.verify.roles import MARKS

EXCERPT = 12
"""Lines of an error that go into the report."""
SHOWN = 200
"""Characters of a command that do."""


@dataclass
class Asking:
    """The node that this process asks, and where its verdicts go."""

    key: str
    node: Host
    inventory: Inventory
    facts: Mapping[str, Facts]
    host: NodeHost
    packs: Mapping[str, Path]
    tell: Callable[[Check], None]
    canaries: Callable[[], Canaries]
    burn_in: float
    setup_time: dict[str, float] = field(default_factory=dict)
    subtests: int | None = None
    """How many subtests the running test told so far; None outside of a test."""


ASKING: ContextVar[Asking] = ContextVar("asking")
"""Set once in each process that asks. No fixture `request` leads here, since pytest makes a new one for every check."""


@pytest.fixture(scope="session")
def asking() -> Asking:
    return ASKING.get()


@pytest.fixture(scope="session")
def host(asking: Asking) -> NodeHost:
    """The node, as testinfra has it: `host.run`, `host.file`, `host.service` and all the others."""
    return asking.host


@pytest.fixture(scope="session")
def node(asking: Asking) -> Host:
    """The node's entry in the inventory, with all that it inherits."""
    return asking.node


@pytest.fixture(scope="session")
def inventory(asking: Asking) -> Inventory:
    """The whole inventory."""
    return asking.inventory


@pytest.fixture(scope="session")
def facts(asking: Asking) -> Facts:
    """What the node said about itself when the verification began."""
    return asking.facts[asking.key]


@pytest.fixture(scope="session")
def others(asking: Asking) -> Mapping[str, Facts]:
    """What the other nodes of this verification said about themselves, name to facts."""
    return {key: facts for key, facts in asking.facts.items() if key != asking.key}


@pytest.fixture(scope="session")
def canaries(asking: Asking) -> Canaries:
    """A pod on every node that runs pods, name of the node to it; they are made for the first check that asks."""
    return asking.canaries()


@pytest.fixture(scope="session")
def burn_in(asking: Asking) -> float:
    """Seconds for each part of a burn-in; 0 where there is none."""
    return asking.burn_in


def pytest_configure(config: pytest.Config) -> None:
    for mark in MARKS:
        config.addinivalue_line("markers", f"{mark}: asked of such nodes only")
    # What we tell of a red check is its last words; sources around each frame would take ten times as long as the rest.
    config.option.tbstyle = "native"


def pytest_runtest_setup() -> None:
    _backend().forget()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """What is reported while a test runs is a subtest of it."""
    now = ASKING.get()
    now.subtests = 0
    try:
        return (yield)
    finally:
        now.subtests = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell the verdict once it is known: after the call, or after whichever phase went wrong before or after it."""
    report = yield
    now = ASKING.get()
    if call.when == "setup":
        now.setup_time[item.nodeid] = call.duration
    if call.when == "call" or not report.passed:
        check = _check(item, call, report)
        if now.subtests is not None:
            now.subtests += 1
            check = replace(check, id=f"{check.id}[{now.subtests}]")
        now.tell(check)
    return report


def _backend() -> SlipwayBackend:
    return ASKING.get().host.backend  # type: ignore[no-any-return]


def _check(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport) -> Check:
    verdict = _verdict(call, report)
    now = ASKING.get()
    pack, name = identify(now.packs, item)
    return Check(
        id=name,
        pack=pack,
        title=title_of(item),
        verdict=verdict,
        duration=call.duration + now.setup_time.get(item.nodeid, 0.0),
        finding=_finding(call, report) if verdict.red else None,
        reason=_reason(report) if verdict is Verdict.SKIPPED else _backend().note,
        ways=tuple(_backend().ways),
    )


def _verdict(call: pytest.CallInfo[None], report: pytest.TestReport) -> Verdict:
    """A finding is an assertion of the check itself; whatever else went wrong means that it could not run."""
    if report.passed:
        return Verdict.PASSED
    if report.skipped:
        return Verdict.SKIPPED
    asserted = call.excinfo is None or call.excinfo.errisinstance((AssertionError, pytest.fail.Exception))
    return Verdict.FAILED if call.when == "call" and asserted else Verdict.ERROR


def _finding(call: pytest.CallInfo[None], report: pytest.TestReport) -> Finding:
    asked = _backend().asked
    last = asked[-1] if asked else ""
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, Red):
        found = error.finding
        return Finding(found.found, found.expected, found.command or _shown(last), found.fix)
    text = f"{_kind(error)}{error}" if error else report.longreprtext
    return Finding("\n".join(text.strip().splitlines()[:EXCERPT]), command=_shown(last))


def _shown(command: str) -> str:
    """A command as one line: what a check runs may be a script of many, which nobody types."""
    first, *more = command.strip().splitlines() or [""]
    return f"{first[:SHOWN]} ..." if more or len(first) > SHOWN else first


def _kind(error: BaseException) -> str:
    """`KeyError: ` before what would say nothing alone; our own errors and assertions are sentences."""
    ours = isinstance(error, AssertionError) or type(error).__module__.startswith(("slipway.", "_pytest."))
    return "" if ours else f"{type(error).__name__}: "


def _reason(report: pytest.TestReport) -> str:
    """Why a check was skipped; pytest keeps it as (file, line, "Skipped: reason")."""
    skipped = report.longrepr
    text = str(skipped[2]) if isinstance(skipped, tuple) else str(getattr(report, "wasxfail", "") or skipped or "")
    return text.removeprefix("Skipped: ")


def identify(packs: Mapping[str, Path], item: pytest.Item) -> tuple[str, str]:
    """(pack, id) of a check, the id being pack.subject.check: `os.clock.within_30_s`."""
    pack = next(name for name, folder in packs.items() if item.path.is_relative_to(folder))
    subject = ".".join(item.path.relative_to(packs[pack]).with_suffix("").parts)
    return pack, f"{pack}.{subject}.{item.name.removeprefix('test_')}"


def title_of(item: pytest.Item) -> str:
    """The first line of the check's docstring, or else its name in words."""
    text = getattr(getattr(item, "function", None), "__doc__", None) or item.name.removeprefix("test_").replace(
        "_", " "
    )
    return str(text).strip().splitlines()[0].rstrip(".")
