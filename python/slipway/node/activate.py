"""Making a new system a node's own: test, confirm over a fresh connection, and only then keep.

activate.sh does it, on the node and as a unit of its own. We start it, follow its status, and answer when it waits.
Where the connection is lost we go on asking, since the node decides alone and in bounded time; what it runs in the end
is what counts.
"""

from __future__ import annotations

import json
import time
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from slipway.errors import Interrupted, SlipwayError, Unreachable
from slipway.events import Events
from slipway.node import facts
from slipway.node.facts import Facts
from slipway.node.places import NIXOS, Places
from slipway.outcome import NodeResult, Outcome
from slipway.result import EXCERPT_LINES, CommandFailed, CommandTimedOut
from slipway.ssh.host import Host

SCRIPT = Path(__file__).with_name("activate.sh")
UNIT = "slipway-activate"
"""One name for all: systemd then refuses a second activation at the same time."""
POLL = 0.3
RECONNECT = 1.0
KNOCK = 3.0
"""Seconds between two tries to confirm."""
STARTS_WITHIN = 15.0
COMMAND = 20.0
"""Seconds for one of our small questions to the node."""
MOST_LINES = 20_000
"""Lines of one activation that are told and written down."""
SPARE = 60.0
"""Seconds that a node gets to become reachable again beside what activation itself may take."""

# What the activation does to the node must not end it: no target that is isolated (rescue, emergency), no process of
# its own that memory runs out for.
START = """unit=$1 script=$2
shift 2
exec systemd-run --unit="$unit" --collect --quiet --no-ask-password --service-type=exec \\
  --description="slipway: activate $3" --setenv=PATH="$PATH" --setenv=HOME=/root \\
  --setenv=LOCALE_ARCHIVE="${LOCALE_ARCHIVE-}" --setenv=NIXOS_INSTALL_BOOTLOADER=0 \\
  --property=DefaultDependencies=no --property=IgnoreOnIsolate=yes --property=OOMPolicy=continue \\
  -- /bin/sh "$script" "$@"
"""
# The script holds the lock while it lives. Only a status read before the lock was seen free tells that it died: a
# script that has just started may have written the one that is read after.
ASK = """[ -d "$1" ] || { echo gone; exit 0; }
if [ ! -e "$1/status" ]; then echo starting
elif flock -n "${1%/*}/lock" true; then echo ended
else echo running; fi
cat "$1/status" 2>/dev/null || echo
tail -n "+$2" "$1/log" 2>/dev/null
exit 0
"""
ANSWER = """ln "$1/answer.theirs" "$1/answer" 2>/dev/null
cat "$1/answer"
"""


@dataclass(frozen=True)
class Limits:
    """Seconds: for `switch-to-configuration` to end, for the confirmation to come, for the profile to be set, and for a
    reboot where the old system cannot be activated again; 0: there is none."""

    activate: float = 300.0
    confirm: float = 60.0
    profile: float = 120.0
    reboot: float = 0.0

    @property
    def silence(self) -> float:
        """How long a node may say nothing before we stop asking: it decides alone within that, however it goes."""
        return self.activate + self.confirm + SPARE

    @property
    def whole(self) -> float:
        """How long all of it may take, whatever the node says: there, waiting for us, kept, and back again."""
        return 3 * self.activate + self.confirm + 2 * self.profile + SPARE


@dataclass(frozen=True)
class Status:
    """What activate.sh last wrote down. `code` is of the new system's activation, `back` the old one's; -1: not run.

    `default` is the system that the next boot would take.
    """

    phase: str
    code: int
    back: int
    old: str | None
    default: str | None
    reason: str

    @property
    def ended(self) -> bool:
        return self.phase in ("kept", "refused", "returned", "alone", "stuck", "needs-boot")


@dataclass(frozen=True)
class Report:
    """One answer of the node. `script` is gone (with its folder), starting, running or ended."""

    script: str
    status: Status | None

    def final(self, age: float) -> bool:
        """Whether asking again can bring nothing new. `age` is the activation's, in seconds."""
        if self.status is not None and (self.status.ended or self.status.phase == "rebooting"):
            return self.status.ended
        if self.script == "starting":
            return self.status is None and age > STARTS_WITHIN
        return self.script in ("gone", "ended")


def activate(
    host: Host,
    system: str,
    events: Events,
    *,
    limits: Limits = Limits(),
    places: Places = NIXOS,
    given_up: Callable[[], bool] = lambda: False,
    boot: bool = False,
    problem: Callable[[Host], str] = lambda _host: "",
) -> NodeResult:
    """Activate `system`, whose closure is already on the node, and tell what became of the node.

    With `boot` it becomes the default of the next boot and nothing else changes.

    `problem` is what is not well on the node yet, asked over the new connection: it is confirmed when there is none.
    `given_up` is asked between two looks at the node: once it is true the node is left to itself.
    """
    activation = _Activation(host, system, events, limits, places, given_up, boot, problem)
    try:
        activation.start()
    except Unreachable as error:
        return activation.result(Outcome.UNREACHABLE, f"before anything was changed: {error}")
    except (CommandFailed, CommandTimedOut) as error:
        return activation.result(Outcome.BLOCKED, f"the activation could not be started: {error}")
    return activation.judge(activation.follow())


@dataclass
class _Activation:
    host: Host
    system: str
    events: Events
    limits: Limits
    places: Places
    given_up: Callable[[], bool]
    boot: bool
    problem: Callable[[Host], str]
    before: Facts | None = None
    confirmed: bool = False
    log: deque[str] = field(default_factory=lambda: deque(maxlen=EXCERPT_LINES))
    lines: int = 0
    reboots: str = ""
    """Why the node boots its old system, once it does."""
    trouble: str = ""
    """Why the confirmation did not get through, or why the node does not answer."""
    began: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.folder = f"{self.places.run}/{uuid.uuid4().hex[:12]}"

    # --- doing it ---

    def start(self) -> None:
        self.before = facts.read(self.host, self.places)
        self.host.run(["mkdir", "-p", "-m", "0700", self.places.run, self.folder])
        script = f"{self.folder}/activate.sh"
        self.host.put(script, SCRIPT.read_bytes())
        limits = [str(int(each)) for each in (self.limits.activate, self.limits.confirm, self.limits.profile)]
        part = "boot" if self.boot else "run"
        limits.append("reboot" if self.limits.reboot else "stay")
        arguments = [part, self.folder, self.system, self.places.current, self.places.profile, *limits]
        self._say("started", self.system)
        # Where the connection breaks right here only the node knows whether it began: follow() asks it.
        with suppress(CommandTimedOut, Unreachable):
            self.host.run(["sh", "-c", START, "start", UNIT, script, *arguments], timeout=COMMAND)

    def follow(self) -> Status | None:
        """Look until the node has decided; None where it does not answer or has forgotten."""
        while self._is_in_time() and not self.given_up():
            try:
                report = self._look()
                if report.final(time.monotonic() - self.began):
                    return report.status
                if report.status is not None and report.status.phase == "waiting":
                    self._confirm()
                time.sleep(POLL)
            except Interrupted:
                break
            except SlipwayError as error:
                # Also where the node lets us in and does not let us ask: it may get its old system back any moment.
                self._missed(str(error))
                time.sleep(RECONNECT)
        return None

    def _is_in_time(self) -> bool:
        now, more = time.monotonic(), self.limits.reboot if self.reboots else 0.0
        return now - self.heard < self.limits.silence + more and now - self.began < self.limits.whole + more

    def _missed(self, trouble: str) -> None:
        if trouble != self.trouble:
            self._say("progress", f"no answer: {trouble}")
        self.trouble = trouble

    def _look(self) -> Report:
        result = self.host.run(["sh", "-c", ASK, "ask", self.folder, str(self.lines + 1)], timeout=COMMAND)
        with result.read() as said:
            state, _, rest = said.partition("\n")
            line, _, log = rest.partition("\n")
            status = _status(line)
        for line in log.split("\n")[:-1]:
            self._keep(line)
        if status:
            self.heard = time.monotonic()
        if status and status.phase == "rebooting":
            self.reboots = self._cause(status)
        return Report(state, status)

    def _keep(self, line: str) -> None:
        """The end of the log is kept, and MOST_LINES are told: a unit that talks without end fills no disk of ours."""
        self.lines += 1
        self.log.append(line)
        if self.lines <= MOST_LINES:
            self._say("progress", line)
        elif self.lines == MOST_LINES + 1:
            self._say("progress", f"more than {MOST_LINES} lines: the rest stays on the node")

    def _confirm(self) -> None:
        """Over a new connection, since an old one lives on where nobody can come in any more."""
        try:
            with self.host.fresh(cut=True) as fresh:
                trouble = self.problem(fresh)
                if trouble:
                    self._not_yet(trouble)
                    return
                decided = fresh.run(["sh", "-c", ANSWER, "answer", self.folder], timeout=COMMAND).stdout.strip()
        except SlipwayError as error:
            self._not_yet(str(error))
            return
        self.confirmed = decided == "confirmed"
        self.events.emit("confirm", "done", self.host.name, text=f"{decided} over a new connection")

    def _not_yet(self, trouble: str) -> None:
        self.trouble = trouble
        self.events.emit("confirm", "progress", self.host.name, text=trouble)
        # Who knocks too often is shut out for longer (sshd's PerSourcePenalties, fail2ban).
        time.sleep(KNOCK)

    # --- what became of it ---

    def judge(self, status: Status | None) -> NodeResult:
        if status is None or not status.ended:
            return self._judge_by_facts(status)
        match status.phase, status.code:
            case "kept", 0:
                return self.result(Outcome.OK)
            case "kept", 4:
                return self.result(Outcome.DEGRADED, "the system is active and kept, but some of its units failed")
            case "kept", _:
                return self.result(Outcome.REBOOT_REQUIRED, "the system is set for the next boot")
            case "needs-boot", _:
                return self.result(
                    Outcome.REBOOT_REQUIRED,
                    f"{self._cause(status)}, which takes a reboot; nothing was changed: "
                    f"`slipway deploy --boot {self.host.name}`, then reboot it",
                )
            case "refused", _:
                return self.result(Outcome.BLOCKED, f"{self._cause(status)}; nothing was changed")
            case "returned", _ if status.default == self.system != status.old:
                return self.result(
                    Outcome.ACTIVATION_FAILED,
                    f"{self._cause(status)}; the old system is active again, but the profile could not be set back: "
                    "the next boot takes the new one",
                )
            case "returned", _:
                failed = ", some of its units failed" if status.back == 4 else ""
                return self.result(
                    Outcome.ROLLED_BACK, f"{self._cause(status)}; the old system is active again{failed}"
                )
            case "alone", _:
                return self.result(
                    Outcome.ACTIVATION_FAILED,
                    f"{self._cause(status)}; there was no system before that it could return to, so it stays as it is",
                )
            case _:
                boots = "a reboot brings it back, it is still the default"
                if status.default == self.system != status.old:
                    boots = "nor set as the default: the next boot takes the new one"
                return self.result(
                    Outcome.ACTIVATION_FAILED,
                    f"{self._cause(status)}; the old system could not be activated again either (exit code "
                    f"{status.back}); {boots}",
                )

    def _cause(self, status: Status) -> str:
        code = f" (exit code {status.code})" if status.code not in (-1, 0, 4, 100) else ""
        trouble = f": {self.trouble}" if self.trouble and status.code in (0, 4, 100) else ""
        return f"{status.reason}{code}{trouble}"

    def _judge_by_facts(self, status: Status | None) -> NodeResult:
        """The script cannot tell: it was killed, or a restart of the node took its folder with it."""
        if self.given_up():
            then = (
                "confirmed, it keeps the new system" if self.confirmed else "unconfirmed, it returns to its old system"
            )
            return self.result(Outcome.ACTIVATION_FAILED, f"left to itself while it activated; {then}")
        try:
            now = facts.read(self.host, self.places)
        except SlipwayError as error:
            last = "rebooting" if self.reboots else status.phase if status else "not known"
            return self.result(Outcome.UNREACHABLE, f"lost while it activated (last seen: {last}): {error}")
        return self._judge_by(now)

    def _judge_by(self, now: Facts) -> NodeResult:
        assert self.before is not None
        restarted = now.boot_id != self.before.boot_id
        if restarted and self.reboots and now.current == self.before.current:
            return self.result(
                Outcome.ROLLED_BACK,
                f"{self.reboots}; the old system could not be activated again, so the node has booted it",
            )
        what = "the node restarted while it activated" if restarted else "the activation ended without a word"
        if now.runs(self.system) and restarted:
            return self.result(Outcome.OK, f"{what}; it runs the new system and keeps it")
        if now.current == self.before.current and restarted:
            return self.result(Outcome.ROLLED_BACK, f"{what}; it runs its old system")
        return self.result(Outcome.ACTIVATION_FAILED, f"{what}; it runs {now.current}, its default is {now.profile}")

    def result(self, outcome: Outcome, reason: str = "") -> NodeResult:
        self.events.emit("activate", outcome.value, self.host.name, reason=reason)
        return NodeResult(
            node=self.host.name,
            outcome=outcome,
            reason=reason,
            duration=time.monotonic() - self.began,
            log="\n".join(self.log),
            old_system=self.before.current if self.before else None,
            new_system=self.system,
        )

    def _say(self, state: str, text: str) -> None:
        self.events.emit("activate", state, self.host.name, text=text)


def _status(line: str) -> Status | None:
    if not line:
        return None
    said = json.loads(line)
    words = said["phase"], said["code"], said["back"], said["old"] or None, said["default"] or None, said["reason"]
    status = Status(*words)
    if not (isinstance(status.code, int) and isinstance(status.back, int)):
        raise ValueError(f"no exit codes: {line}")
    if not all(isinstance(each, str) for each in (status.phase, status.old or "", status.default or "", status.reason)):
        raise ValueError(f"no words: {line}")
    return status
