"""The starting side of a run of packs: one server for the questions of the checks, one result per node."""

from __future__ import annotations

import contextlib
import functools
import pickle
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from slipway.errors import SlipwayError, Unreachable
from slipway.events import Events
from slipway.result import CommandResult, CommandTimedOut
from slipway.ssh.host import Host as Connection
from slipway.ssh.keys import HostKeyRefused
from slipway.tools.run import run
from slipway.verify.asked import Facts, Job, Question
from slipway.verify.facts import gather
from slipway.verify.flock import Flock
from slipway.verify.result import Check, Counts, Finding, NodeVerification, Obstacle, Verdict
from slipway.verify.wire import CONTROL, Line, Message
from slipway.words import counted, first_of

Connect = Callable[[str], Connection]
"""Name of a node to its connection, as `Pool.host` has it. Raises Unreachable."""

PHASE = "verify"
START_BOUND = 60.0
"""Seconds until the checks must have been collected, and until the last node has said who it is."""
GRACE = 2.0
"""Seconds after the bound of a node in which its child must have gone."""
CLEAN = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "", "PYTEST_PLUGINS": ""}
"""What the user's own pytest is told must not change what a node is asked."""

_WHY_NOT = {
    Obstacle.NEVER_DEPLOYED: "runs a NixOS that nobody deployed: it has no system profile",
    Obstacle.NOT_NIXOS: "runs no system of NixOS: it has no /run/current-system",
}


@dataclass
class _Node:
    """What came back about one node so far."""

    question: Question
    began: float = field(default_factory=time.monotonic)
    facts: Facts | None = None
    checks: list[Check] = field(default_factory=list)
    ended: float = 0.0
    finished: bool = False
    asked: str = ""
    error: str = ""
    obstacle: Obstacle | None = None
    hint: str = ""

    @property
    def key(self) -> str:
        return self.question.key


class Session:
    """One run: started with `run`, over when it returns."""

    def __init__(self, job: Job, connect: Connect, events: Events) -> None:
        self._job = job
        self._connect = connect
        self._events = events
        self._nodes = {question.key: _Node(question) for question in job.questions}
        self._known = threading.Event()
        self._canaries = Flock(job, connect)
        self._called = False

    def run(self) -> tuple[NodeVerification, ...]:
        """Never raises for a node. Raises SlipwayError when the checks cannot be started at all."""
        with self._serving() as serving, self._canaries:
            worker = _in_background(self._run_worker)
            self._get_all_facts()
            said = worker.result()
            for served in serving:
                served.result()
        if not self._called:
            raise SlipwayError(f"the checks could not be started\n{said.excerpt()}")
        return tuple(_result(node, self._job) for node in self._nodes.values())

    # --- the process of the checks, and the socket on which it calls ---

    def _run_worker(self) -> CommandResult:
        job = self._job
        rounds = -(-len(job.questions) // job.limit)
        return run(
            # -P, and a folder of ours: no module of the folder that somebody stands in is taken for Python's own.
            [sys.executable, "-P", "-m", "slipway.verify.worker"],
            input=pickle.dumps(job),
            env=CLEAN,
            cwd=job.socket.parent,
            timeout=2 * START_BOUND + rounds * job.bound,
            check=False,
        )

    @contextlib.contextmanager
    def _serving(self) -> Iterator[list[Future[None]]]:
        """Answer whoever calls, and hang up on all of them at the end; yields what is being served."""
        serving: list[Future[None]] = []
        lines: list[Line] = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(self._job.socket))
            listener.listen(self._job.limit + 1)

            def accept() -> None:
                with contextlib.suppress(OSError):  # the listener was shut: nobody else will call
                    while True:
                        lines.append(Line(listener.accept()[0]))
                        serving.append(_in_background(functools.partial(self._serve, lines[-1])))

            _in_background(accept)
            try:
                yield serving
            finally:
                listener.shutdown(socket.SHUT_RDWR)
                for line in lines:
                    line.close()

    def _serve(self, line: Line) -> None:
        # A caller that dies (the kernel's alarm, a crash) just stops calling; what it told until then counts.
        with line, contextlib.suppress(OSError):
            hello = line.receive()
            if hello is None:
                return
            if hello["hello"] == CONTROL:
                self._called = True
                self._known.wait()
                line.send(facts={node.key: asdict(node.facts) for node in self._nodes.values() if node.facts})
                # Nothing comes any more but the end. Ours, if we go first, tells the children to go.
                line.receive()
            else:
                self._serve_node(line, self._nodes[hello["hello"]])

    # --- one node ---

    def _get_all_facts(self) -> None:
        try:
            with ThreadPoolExecutor(max_workers=self._job.limit) as threads:
                list(threads.map(self._get_facts, self._nodes.values()))
        finally:
            self._known.set()

    def _get_facts(self, node: _Node) -> None:
        self._events.emit(PHASE, "started", node.key)
        try:
            facts = gather(self._connect(node.key))
        except SlipwayError as error:
            node.error, node.hint = _first_line(error), error.hint or ""
            node.obstacle = _obstacle(error)
            self._tell_end(node)
            return
        if facts.system and facts.profile:
            node.facts = facts
            return
        node.obstacle = Obstacle.NEVER_DEPLOYED if facts.system else Obstacle.NOT_NIXOS
        node.error, node.hint = _WHY_NOT[node.obstacle], f"slipway deploy {node.question.node.name}"
        self._tell_end(node)

    def _serve_node(self, line: Line, node: _Node) -> None:
        node.began = time.monotonic()
        line.limit(self._job.bound + GRACE)
        try:
            while not node.finished and (message := line.receive()):
                self._take(line, node, message)
        finally:
            node.ended = time.monotonic()
            node.error = node.error or _why_unfinished(node, self._job.bound)
            self._tell_end(node)

    def _take(self, line: Line, node: _Node, message: Message) -> None:
        if "run" in message:
            node.asked = _first_line(message["run"].strip())
            line.send(**self._answer(node, message["run"], message["timeout"]))
        elif "canaries" in message:
            line.send(**self._canaries.told())
        elif "check" in message:
            self._take_check(node, Check.of_json(message["check"]["pack"], message["check"]))
        else:
            node.finished = True
            line.send(thanks=True)

    def _answer(self, node: _Node, command: str, timeout: float) -> Message:
        left = node.began + self._job.bound - time.monotonic()
        try:
            connection = self._connect(node.key)
            result = connection.run(["sh", "-c", command], timeout=max(1.0, min(timeout, left)), check=False)
        except Unreachable as error:
            node.error = f"the connection was lost: {_first_line(error)}"
            return {"lost": node.error}
        except CommandTimedOut as error:
            return {"failed": f"no end after {error.timeout:g} s"}
        except SlipwayError as error:
            return {"failed": _first_line(error)}
        return {"exitCode": result.exit_code, "stdout": result.stdout, "stderr": result.stderr}

    def _take_check(self, node: _Node, check: Check) -> None:
        new_pack = not node.checks or node.checks[-1].pack != check.pack
        first_red = check.verdict.red and not any(each.verdict.red for each in node.checks)
        node.checks.append(check)
        if new_pack or first_red:
            self._events.emit(PHASE, "progress", node.key, **_progress(node))

    def _tell_end(self, node: _Node) -> None:
        result = _result(node, self._job)
        self._events.emit(PHASE, result.state, node.key, **{**_progress(node), "text": summary(result)})


def summary(result: NodeVerification) -> str:
    """One line on a node: `52 checks`, or which are red, or why checks are missing."""
    if result.error:
        return result.error
    if result.red:
        names = first_of([check.id for check in result.red], 3)
        return f"{len(result.red)} of {counted(len(result.checks), 'check')} red: {names}"
    return counted(len(result.checks), "check")


def _obstacle(error: SlipwayError) -> Obstacle | None:
    if isinstance(error, HostKeyRefused):
        return Obstacle.NOT_TRUSTED
    return Obstacle.UNREACHABLE if isinstance(error, Unreachable) else None


def _first_line(text: object) -> str:
    """What a person reads of an error or a command, which may hold a whole script."""
    first, *more = str(text).splitlines() or [""]
    return f"{first} ..." if more else first


def _progress(node: _Node) -> dict[str, Any]:
    counts = Counts.of(tuple(node.checks))
    text = f"{counts.passed} passed" + (
        f", {counts.failed + counts.errors} red" if counts.failed + counts.errors else ""
    )
    return {**counts.to_json(), "text": text}


def _why_unfinished(node: _Node, bound: float) -> str:
    """Why the checks of this node broke off, empty if they did not."""
    if node.finished:
        return ""
    last = f"; the last question was: {node.asked}" if node.asked else ""
    if node.ended - node.began >= bound - GRACE:
        return f"the checks did not end within {bound:g} s{last}"
    return f"the process of the checks ended early{last}"


def _result(node: _Node, job: Job) -> NodeVerification:
    error = node.error or ("" if node.finished else "the checks were not started")
    return NodeVerification(
        node=node.key,
        packs=tuple(job.packs),
        system=node.facts.system if node.facts else "",
        boot_id=node.facts.boot_id if node.facts else "",
        checks=(*node.checks, *(_broken_off(node, tuple(job.packs), error) if error and not node.obstacle else ())),
        duration=max(0.0, node.ended - node.began),
        error=error,
        obstacle=node.obstacle,
        hint=node.hint,
    )


def _broken_off(node: _Node, packs: tuple[str, ...], error: str) -> Iterator[Check]:
    """An error for each pack that did not come to its end: what was not asked must not look green."""
    first = packs.index(node.checks[-1].pack) if node.checks else 0
    for pack in packs[first:]:
        yield Check(pack, pack, "All checks of the pack ran", Verdict.ERROR, finding=Finding(error, command=node.asked))


def _in_background(function: Callable[[], Any]) -> Future[Any]:
    """Run it in a thread that does not outlive the program: an interrupted verification leaves at once."""
    future: Future[Any] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return future
