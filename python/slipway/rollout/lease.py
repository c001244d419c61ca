"""One deployer at a time per cluster, from whichever clone: a file on the controllers says who it is.

A file and no object of the API: it is needed before there is an API, and when that is down. It lies in memory, its age
is counted by the controller's uptime, and the controller's own lock makes taking it one step (docs/decisions/0012).
"""

from __future__ import annotations

import getpass
import json
import math
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from slipway.errors import Interrupted, LockedByAnother, SlipwayError
from slipway.events import Events
from slipway.inventory import Inventory
from slipway.node.places import NIXOS
from slipway.rollout import process
from slipway.ssh.host import Host
from slipway.ssh.pool import Pool, for_each

PHASE = "lock"
FOLDER = NIXOS.run
COMMAND = 20.0
"""Seconds for one question to a controller."""
SIGNS = 3
"""Signs of life within the time after which the lock counts as left behind."""
LONGEST = 2000
"""Bytes of what a holder says of itself."""

# `$2` is our id, `$3` the age in seconds from which on a lock counts for nothing, `$4` the id of a run that it is taken
# from at any age; standard input is what we say of us.
TAKE = """umask 077
{ mkdir -p "$1" && exec 9>"$1/deploy.guard" && flock -w 10 9; } || exit 3
lock=$1/deploy.lock id='' at=0 before=''
read -r now rest </proc/uptime
now=${now%.*}
if [ -s "$lock" ]; then read -r id at <"$lock"; before=$(tail -n +2 "$lock" | head -c 2000); fi
age=$((now - at))
if [ -n "$id" ] && [ "$id" != "$2" ]; then
  if [ "$age" -lt "$3" ] && [ "$4" != break ] && [ "$4" != "$id" ]; then
    printf 'held %s\\n%s\\n' "$age" "$before"
    exit 0
  fi
  state=replaced
else
  state=taken
fi
{ echo "$2 $now"; cat; } >"$lock.new" && mv -f "$lock.new" "$lock" || exit 4
printf '%s %s\\n%s\\n' "$state" "$age" "$before"
"""
RELEASE = """{ exec 9>"$1/deploy.guard" && flock -w 10 9; } || exit 3
if read -r id rest 2>/dev/null <"$1/deploy.lock" && [ "$id" = "$2" ]; then rm -f "$1/deploy.lock"; fi
exit 0
"""


@dataclass(frozen=True)
class Holder:
    """Who deploys: run, user, computer, process, the folder of the clone, and since when (ISO 8601). `process` tells
    that process from all others (rollout/process.py)."""

    run: str
    user: str
    host: str
    pid: int
    folder: str
    since: str
    process: Mapping[str, Any] = field(default_factory=dict)

    def is_gone(self, user: str) -> bool:
        """Whether it was a process of this user's on this computer that has provably ended. Those of others may be
        hidden from us."""
        return self.user == user and process.is_gone(self.process)

    def __str__(self) -> str:
        return f"{self.user}@{self.host} (run {self.run}, process {self.pid}, in {self.folder}, since {self.since})"


@dataclass(frozen=True)
class Answer:
    """What a controller said: taken, replaced (somebody else's, whose time was over or who was to be broken) or held;
    whose the lock was, and the seconds since that one's last sign of life."""

    state: str
    holder: Holder | None
    age: int


@contextmanager
def held(
    inventory: Inventory,
    pool: Pool,
    events: Events,
    run: str,
    *,
    break_it: bool = False,
    on_loss: Callable[[str], None] = lambda _who: None,
) -> Iterator[None]:
    """Hold the lock on every controller that answers, over connections of its own, and give signs of life. Whoever is
    interrupted waits for no controller that is silent.

    What a process of this user's on this computer has left behind, which has provably ended, is taken over at once.
    Raises LockedByAnother, naming who has it. `on_loss` is called, from a thread, with who has taken it away.
    """
    me, folder = process.own(), str(inventory.root.resolve())
    us = Holder(run, getpass.getuser(), socket.gethostname(), me["pid"], folder, _now(), me)
    with ExitStack() as stack:
        names = [host.name for host in inventory.controllers]
        machines = {name: stack.enter_context(pool.host(name).fresh(cut=True)) for name in names}
        lease = Lease(machines, us, inventory.deploy.timeouts.lock, events, pool)
        stack.callback(lease.release)
        lease.take(break_it=break_it)
        with lease.alive(on_loss):
            yield


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Lease:
    machines: dict[str, Host]
    us: Holder
    stale: float
    events: Events
    pool: Pool
    given: set[str] = field(default_factory=set)
    """Controllers that have said that it is ours."""

    def take(self, *, break_it: bool) -> None:
        """One controller after the other until one has given it, then the rest: of two who come at once one is first
        at the first controller that answers both."""
        lost: list[str] = []
        rest = list(self.machines)
        while rest and len(lost) == len(self.machines) - len(rest):
            lost += self._take(rest[:1], break_it)
            del rest[0]
        lost += self._take(rest, break_it)
        if lost:
            what = "nothing keeps another deployer away" if len(lost) == len(self.machines) else "not locked there"
            self.events.emit(PHASE, "skipped", text=f"{', '.join(lost)}: no answer: {what}")

    def _take(self, names: Sequence[str], break_it: bool) -> list[str]:
        """The names of those that did not answer. Raises LockedByAnother."""
        answers = self._all(names, "break" if break_it else "")
        for name, answer in answers.items():
            if isinstance(answer, Answer):
                answers[name] = self._inherited(name, answer)
        for name, answer in answers.items():
            if isinstance(answer, Answer):
                self._require(name, answer)
        return [name for name, answer in answers.items() if not isinstance(answer, Answer)]

    def _inherited(self, name: str, answer: Answer) -> Answer | SlipwayError:
        """What the controller says once more where its lock is of a process that has ended; else the same answer."""
        left = answer.holder if answer.state == "held" else None
        return self._all([name], left.run)[name] if left and left.is_gone(self.us.user) else answer

    def _require(self, name: str, answer: Answer) -> None:
        if answer.state == "held":
            raise LockedByAnother(
                f"another deployer works on this cluster: {answer.holder}; its last sign of life on {name} is "
                f"{answer.age} s old",
                hint=f"wait for it; one that died holds it for {self.stale:g} s, or until slipway deploy --break-lock",
            )
        if answer.state == "replaced":
            gone = answer.holder is not None and answer.holder.is_gone(self.us.user)
            why = "whose process has ended" if gone else f"whose last sign of life is {answer.age} s old"
            text = f"taken from {answer.holder}, {why}"
            self.events.emit(PHASE, "done", name, text=text)

    def _all(self, names: Sequence[str], from_whom: str = "") -> dict[str, Answer | SlipwayError]:
        def one(name: str) -> Answer:
            answer = take(self.machines[name], self.us, self.stale, from_whom)
            if answer.state != "held":
                self.given.add(name)
            return answer

        return for_each(one, names, limit=len(names) or 1)

    @contextmanager
    def alive(self, on_loss: Callable[[str], None]) -> Iterator[None]:
        """Give signs of life while the block runs, SIGNS within the time that makes the lock stale."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(self.stale / SIGNS):
                for name, answer in self._all(list(self.machines)).items():
                    if isinstance(answer, Answer) and answer.state == "held" and not over.is_set():
                        self.events.emit(PHASE, "failed", name, text=f"taken over by {answer.holder}")
                        on_loss(str(answer.holder))
                        return

        thread = threading.Thread(target=beat, name="slipway-lock", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(COMMAND)

    def release(self) -> None:
        """As far as the controllers answer; what is left goes by its age."""
        words = ["sh", "-c", RELEASE, "release the lock", FOLDER, self.us.run]

        def one(name: str) -> None:
            try:
                self.machines[name].run(words, timeout=COMMAND)
            except Interrupted:
                with self.pool.host(name).fresh() as another:
                    another.run(words, timeout=COMMAND)

        for_each(one, self.given, limit=len(self.given) or 1)


def take(machine: Host, us: Holder, stale: float, from_whom: str = "") -> Answer:
    """Take the lock on one controller, or give a sign of life where it is ours. `from_whom`: a run that it is taken
    from at any age, or `break` for whoever has it. Raises OddAnswer, or why it cannot."""
    words = [FOLDER, us.run, str(math.ceil(stale)), from_whom]
    said = json.dumps(asdict(us)).encode()
    result = machine.run(["sh", "-c", TAKE, "take the lock", *words], input=said, timeout=COMMAND)
    with result.read() as text:
        first, _, rest = text.partition("\n")
        state, age = first.split()
        if state not in ("taken", "replaced", "held"):
            raise ValueError(state)
        return Answer(state, _holder(rest) if state != "taken" else None, int(age))


def _holder(text: str) -> Holder:
    found = json.loads(text[:LONGEST])
    words = {key: str(found[key])[:200] for key in ("run", "user", "host", "folder", "since")}
    which = found.get("process")
    return Holder(pid=int(found["pid"]), process=which if isinstance(which, dict) else {}, **words)
