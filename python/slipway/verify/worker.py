"""The process that runs the checks: `python -m slipway.verify.worker`, started by runner.py.

It imports pytest and collects the packs once, then forks one child a node. A child starts in milliseconds, shares
the memory of what was collected, cannot disturb the other nodes' checks, and ends by the kernel's alarm if it hangs.
Nothing here speaks SSH or knows a secret: a child's questions go over the wire (wire.py) to the starting process.

The fork is safe because this process has one thread and no connection that a child would share.
"""

from __future__ import annotations

import functools
import gc
import importlib
import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

import pytest
import testinfra.modules

from slipway.inventory import Host
from slipway.verify import plugin
from slipway.verify.asked import Facts, Job, Question
from slipway.verify.backend import Answer, ConnectionLost, host_of
from slipway.verify.canary import Canaries, Canary
from slipway.verify.catalog import USER, holds_checks
from slipway.verify.check import CannotRun
from slipway.verify.children import Children
from slipway.verify.plugin import ASKING, Asking
from slipway.verify.result import Check, Finding, Verdict
from slipway.verify.roles import meant_for, named
from slipway.verify.wire import CONTROL, Line, Message

BUILTIN_NOT_NEEDED = (
    "terminal", "cacheprovider", "junitxml", "doctest", "pastebin", "stepwise", "warnings", "faulthandler",
    "threadexception", "unraisableexception", "setuponly", "setupplan",
)  # fmt: skip


def arguments(job: Job) -> list[str]:
    """pytest's arguments: nothing from the surroundings (configuration, installed plug-ins) changes what is asked."""
    ours = [
        "-c",
        os.devnull,
        "--rootdir",
        str(job.inventory.root.absolute()),
        # The repository's own conftest.py stands in verify/; those above it are somebody else's.
        "--confcutdir",
        str(job.packs.get(USER, job.socket.parent)),
        "--import-mode=importlib",
        "--capture=no",
    ]
    patterns = ["-o", "python_files=*.py", "--continue-on-collection-errors"]
    without = [word for name in BUILTIN_NOT_NEEDED for word in ("-p", f"no:{name}")]
    return [*ours, *patterns, *without, *(str(folder) for folder in job.packs.values())]


class Conductor:
    """Takes pytest's loop over the checks: one child a node, at most `limit` at a time."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.broken: list[Check] = []

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        return None if holds_checks(collection_path) else True

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A file of a pack that cannot be read is a check that cannot run, on every node."""
        if report.failed:
            self.broken.append(self._unreadable(report))

    def _unreadable(self, report: pytest.CollectReport) -> Check:
        file = Path(self.job.inventory.root.absolute(), report.nodeid)
        pack = next((name for name, folder in self.job.packs.items() if file.is_relative_to(folder)), "")
        text = "\n".join(report.longreprtext.strip().splitlines()[-plugin.EXCERPT :])
        return Check(f"{pack}.{file.stem}", pack, f"{file.name} can be read", Verdict.ERROR, finding=Finding(text))

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self._refuse_unknown_hosts(session)
        with Line.to(self.job.socket) as control:
            control.send(hello=CONTROL)
            message = control.receive()
            if message is not None:
                facts = {key: Facts(**fields) for key, fields in message["facts"].items()}
                self._fork_all(session, facts, Children(control, limit=self.job.limit, bound=self.job.bound))
        return True

    def _refuse_unknown_hosts(self, session: pytest.Session) -> None:
        """A file for machines that the inventory does not know would be asked of nobody, and nobody would notice."""
        for path, words in {item.path: _hosts_of(item) for item in session.items}.items():
            unknown = [word for word in words if not any(named(host, [word]) for host in self.job.inventory.hosts)]
            if unknown:
                self.broken.append(self._of_nobody(path, unknown))

    def _of_nobody(self, path: Path, unknown: list[str]) -> Check:
        pack = next(name for name, folder in self.job.packs.items() if path.is_relative_to(folder))
        finding = Finding(
            f"testinfra_hosts names {', '.join(unknown)}, which the inventory does not know",
            expected="names or addresses of hosts of the inventory",
            fix=f"mend testinfra_hosts in {path.name}",
        )
        title = f"{path.name} is for nodes of the inventory"
        return Check(f"{pack}.{path.stem}", pack, title, Verdict.ERROR, finding=finding)

    def _fork_all(self, session: pytest.Session, facts: Mapping[str, Facts], children: Children) -> None:
        """One child for each node that could be asked for its facts."""
        _import_modules_of_testinfra()
        _prepare(session)
        # The collector would touch every object, and so copy the pages that children share.
        gc.freeze()
        for question in self.job.questions:
            if question.key in facts:
                children.start(functools.partial(self._ask, session, question, facts))
        children.wait()

    def _ask(self, session: pytest.Session, question: Question, facts: Mapping[str, Facts]) -> None:
        with Line.to(self.job.socket) as line:
            line.send(hello=question.key)
            asking = self._asking(line, question, facts)
            ASKING.set(asking)
            for check in self.broken:
                asking.tell(check)
            _run(session, asking)
            line.send(done=True)
            line.receive()

    def _asking(self, line: Line, question: Question, facts: Mapping[str, Facts]) -> Asking:
        return Asking(
            key=question.key,
            node=question.node,
            inventory=question.inventory or self.job.inventory,
            facts=facts,
            host=host_of(question.key, lambda command, timeout: _over(line, command, timeout)),
            packs=self.job.packs,
            tell=lambda check: line.send(check=_plain(check)),
            canaries=lambda: _canaries_over(line),
            burn_in=self.job.burn_in,
        )


def _prepare(session: pytest.Session) -> None:
    """What every child would else work out for every check once more."""
    for item in session.items:
        item.location  # noqa: B018 (kept by the item)
    # Whose hooks a file has does not change any more: all conftest.py are known.
    session.gethookproxy = functools.cache(session.gethookproxy)  # type: ignore[assignment, method-assign]
    # Catching what is logged costs a tenth of each check, and only the fixture caplog shows it to anybody.
    if not any("caplog" in getattr(item, "fixturenames", ()) for item in session.items):
        session.config.pluginmanager.unregister(name="logging-plugin")


def _import_modules_of_testinfra() -> None:
    """Once for all children: `host.file` and the others are imported by their first use."""
    for name, place in testinfra.modules.modules.items():
        importlib.import_module(f"testinfra.modules.{place.partition(':')[0] or name}")


def _run(session: pytest.Session, asking: Asking) -> None:
    """The checks meant for this node, until its connection is lost: the rest then stays unasked, and that is told."""
    items = [item for item in session.items if _is_asked(item, asking.node)]
    for item, following in zip_longest(items, items[1:]):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if asking.host.backend.lost:
            return


def _is_asked(item: pytest.Item, node: Host) -> bool:
    hosts = _hosts_of(item)
    return meant_for(node, (mark.name for mark in item.iter_markers())) and (not hosts or named(node, hosts))


def _hosts_of(item: pytest.Item) -> list[str]:
    """`testinfra_hosts` of the check's file; empty: asked of all."""
    module = item.getparent(pytest.Module)
    return [str(word) for word in getattr(module.obj, "testinfra_hosts", ())] if module else []


def _over(line: Line, command: str, timeout: float) -> Answer:
    """Ask over the wire; the other side answers within the time-out, since it bounds the command."""
    message = _told(line, run=command, timeout=timeout)
    return Answer(message["exitCode"], message["stdout"], message["stderr"])


def _canaries_over(line: Line) -> Canaries:
    return {name: Canary(**each) for name, each in _told(line, canaries=True)["canaries"].items()}


def _told(line: Line, **question: object) -> Message:
    """Raises ConnectionLost where nobody can answer any more, CannotRun where this question failed."""
    line.send(**question)
    message = line.receive()
    if message is None:
        raise ConnectionLost("the verification was broken off")
    if "lost" in message:
        raise ConnectionLost(message["lost"])
    if "failed" in message:
        raise CannotRun(message["failed"])
    return message


def _plain(check: Check) -> dict[str, object]:
    return {**check.to_json(), "pack": check.pack}


def main(words: Sequence[str]) -> int:
    assert not words, "the job comes over standard input"
    job: Job = pickle.loads(sys.stdin.buffer.read())  # noqa: S301 (from our own parent)
    return int(pytest.main(arguments(job), plugins=[plugin, Conductor(job)]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
