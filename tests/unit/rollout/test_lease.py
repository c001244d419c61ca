"""The cluster's lock over a real sshd; the controllers are this machine under several names, each with its folder."""

import getpass
import os
import signal
import socket
import subprocess
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.soon import soon

from slipway.errors import LockedByAnother, SlipwayError, Unreachable
from slipway.events import Event, Events
from slipway.result import CommandResult, OddAnswer
from slipway.rollout import lease, process
from slipway.rollout.interruption import Interruption
from slipway.rollout.lease import Holder, held
from slipway.ssh.host import Remote
from slipway.ssh.pool import Pool
from slipway.tools import run

OTHER = Holder("theirs", "eva", "there", 7, "/clone", "2026-01-01T00:00:00+00:00")

PATIENCE = 120.0
"""Seconds for a connection to a controller that says nothing."""


@dataclass
class Controller:
    """One machine with its own place for the lock."""

    remote: Remote
    folder: Path
    down: bool = False

    @contextmanager
    def fresh(self, *, cut: bool = False):
        yield self

    def run(self, argv: list[str], **how: Any) -> Any:
        if self.down:
            raise Unreachable("no route to host")
        return self.remote.run([str(self.folder) if word == lease.FOLDER else word for word in argv], **how)

    @property
    def lock(self) -> Path:
        return self.folder / "deploy.lock"


class World:
    def __init__(self, inventory, controllers: dict[str, Controller]) -> None:
        self.inventory = inventory
        self.controllers = controllers
        self.pool: Any = SimpleNamespace(host=controllers.__getitem__)
        self.told: list[Event] = []
        self.lost: list[str] = []

    def held(self, run: str = "ours", **how: Any) -> Any:
        return held(self.inventory, self.pool, Events(self.told.append), run, on_loss=self.lost.append, **how)

    def theirs(self, *names: str, stale: float = 120) -> None:
        """Another deployer has taken the lock there."""
        for name in names:
            lease.take(self.controllers[name], OTHER, stale)  # type: ignore[arg-type]

    def holders(self) -> list[str]:
        """Run by controller; empty where nobody has the lock."""
        return [each.lock.read_text().split()[0] if each.lock.exists() else "" for each in self.controllers.values()]

    @property
    def words(self) -> list[str]:
        return [str(event.data["text"]) for event in self.told]


@pytest.fixture
def world(inventory, sshd, tmp_path):
    names = [host.name for host in inventory.controllers]
    remotes = {name: Remote(replace(sshd.endpoint, name=name), sshd.known_hosts) for name in names}
    yield World(inventory, {name: Controller(remote, tmp_path / name) for name, remote in remotes.items()})
    for remote in remotes.values():
        remote.close()


def quick(world: World, seconds: float) -> None:
    deploy = world.inventory.deploy
    timeouts = deploy.timeouts.model_copy(update={"lock": seconds})
    world.inventory = replace(world.inventory, deploy=deploy.model_copy(update={"timeouts": timeouts}))


def test_it_is_held_on_every_controller_and_released(world):
    with world.held():
        assert world.holders() == ["ours", "ours", "ours"]
    assert world.holders() == ["", "", ""]
    assert world.told == []


def test_who_is_interrupted_waits_for_no_silent_controller_and_gives_the_others_back(
    inventory, sshd, tmp_path, monkeypatch
):
    """Ctrl-C while cp2 takes the connection and says nothing; cp1 has given its lock by then."""
    monkeypatch.setattr(lease, "FOLDER", str(tmp_path / "run"))
    monkeypatch.setattr(run, "_stopped", threading.Event())  # this process goes on
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ports = {"cp1": sshd.port, "cp2": silent.getsockname()[1], "cp3": sshd.port}
        endpoints = [replace(sshd.endpoint, name=name, port=port) for name, port in ports.items()]
        accepted: list[socket.socket] = []

        def press() -> None:
            accepted.append(silent.accept()[0])
            os.kill(os.getpid(), signal.SIGINT)

        threading.Thread(target=press, daemon=True).start()
        began = time.monotonic()
        with Pool(endpoints, sshd.known_hosts, connect_timeout=PATIENCE) as pool:
            heard = Interruption(pool.shut, lambda _text: None).heard()
            with pytest.raises(KeyboardInterrupt), heard, held(inventory, pool, Events(), "ours"):
                pytest.fail("held without cp2")
        accepted[0].close()
    assert time.monotonic() - began < PATIENCE, "it waited for cp2"
    assert (tmp_path / "run" / "deploy.guard").exists(), "cp1 had given it"
    assert not (tmp_path / "run" / "deploy.lock").exists()


def test_the_second_is_refused_and_told_who_is_first_and_how_old_that_is(world):
    world.theirs("cp1")
    with pytest.raises(LockedByAnother) as caught, world.held():
        pytest.fail("two at a time")
    assert str(caught.value).startswith("another deployer works on this cluster: eva@there (run theirs, process 7, in")
    assert "its last sign of life on cp1 is" in str(caught.value)
    assert "--break-lock" in str(caught.value.hint)
    assert world.holders() == ["theirs", "", ""]


def test_who_is_refused_later_leaves_nothing_behind(world):
    world.theirs("cp3")
    with pytest.raises(LockedByAnother), world.held():
        pytest.fail("two at a time")
    assert world.holders() == ["", "", "theirs"]


def test_of_two_who_come_at_once_one_is_first(world):
    """Many times, since it is about a race."""
    for _ in range(5):
        results: list[str] = []
        together = threading.Barrier(2)

        def try_it(run: str, together: threading.Barrier = together, results: list[str] = results) -> None:
            together.wait(60)
            try:
                with world.held(run):
                    results.append("held")
                    together.wait(60)
            except LockedByAnother:
                results.append("refused")
                together.wait(60)

        threads = [threading.Thread(target=try_it, args=(run,)) for run in ("a", "b")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert sorted(results) == ["held", "refused"]


def test_the_lock_can_be_broken_and_it_is_told_whose_it_was(world):
    world.theirs("cp1", "cp2", "cp3")
    with world.held(break_it=True):
        assert world.holders() == ["ours", "ours", "ours"]
    assert len(world.words) == 3
    assert all(text.startswith("taken from eva@there (run theirs") for text in world.words)


def ended() -> dict[str, Any]:
    """What a process said of itself that was killed since."""
    began = subprocess.Popen(["sleep", "60"])
    about = process.own() | {"pid": began.pid, "since": process._since(began.pid)}
    began.kill()
    began.wait(60)
    return about


def test_what_our_own_killed_process_left_is_taken_over_at_once(world):
    left = replace(OTHER, user=getpass.getuser(), process=ended())
    for each in world.controllers.values():
        lease.take(each, left, 120)
    with world.held():
        assert world.holders() == ["ours", "ours", "ours"]
    assert all(text.endswith("whose process has ended") for text in world.words) and len(world.words) == 3


@pytest.mark.parametrize(
    "about",
    [
        {"process": process.own()},
        {"user": "eva"},
        {"process": {}},
        {"process": {"boot": "another"}},
        {"process": {"space": "pid:[1]"}},
        {"process": {"since": ""}},
    ],
    ids=["it lives", "another user's", "it does not say", "another computer or boot", "a container's", "no start"],
)
def test_control_where_it_is_not_proved_that_the_process_ended_nothing_is_taken(world, about):
    gone = ended()
    said = {**gone, **about["process"]} if about.get("process") else about.get("process", gone)
    left = replace(OTHER, user=about.get("user", getpass.getuser()), process=said)
    lease.take(world.controllers["cp1"], left, 120)
    with pytest.raises(LockedByAnother), world.held():
        pytest.fail("two at a time")
    assert world.holders() == ["theirs", "", ""]


def test_a_lock_without_a_sign_of_life_counts_for_nothing(world):
    world.theirs("cp1", "cp2", "cp3")
    quick(world, 0.5)
    time.sleep(2)
    with world.held():
        assert world.holders() == ["ours", "ours", "ours"]


def test_signs_of_life_keep_it(world, monkeypatch):
    """Also where a controller was rebooted and has forgotten it."""
    monkeypatch.setattr(lease, "SIGNS", 1200)
    with world.held():
        for each in world.controllers.values():
            each.lock.unlink()
        soon(lambda: world.holders() == ["ours", "ours", "ours"])


def test_who_lost_the_lock_hears_of_it_and_takes_nothing_from_the_new_holder(world, monkeypatch):
    monkeypatch.setattr(lease, "SIGNS", 1200)
    with world.held():
        lease.take(world.controllers["cp2"], OTHER, 120, "break")
        soon(lambda: world.lost)
        assert len(world.lost) == 1 and "eva@there" in world.lost[0]
    assert world.holders() == ["", "theirs", ""]


def test_a_controller_that_is_down_is_told_and_not_waited_for(world):
    world.controllers["cp1"].down = True
    with world.held():
        assert world.holders() == ["", "ours", "ours"]
    assert world.words == ["cp1: no answer: not locked there"]


def test_where_nobody_answers_nothing_keeps_others_away_and_that_is_told(world):
    for each in world.controllers.values():
        each.down = True
    with world.held():
        pass
    assert world.words == ["cp1, cp2, cp3: no answer: nothing keeps another deployer away"]


def test_an_error_in_the_block_releases_it(world):
    with pytest.raises(SlipwayError, match="why"), world.held():
        raise SlipwayError("why")
    assert world.holders() == ["", "", ""]


@pytest.mark.parametrize(
    "said", ["", "held", "held x\n{}", "held 3\n", "held 3\n{}", "owned 3\n", "held 3\n" + "[" * 9999]
)
def test_an_odd_answer_is_the_controllers(said):
    fake: Any = SimpleNamespace(run=lambda argv, **_: CommandResult(tuple(argv), "cp1", 0, said, "", 0.0))
    with pytest.raises(OddAnswer, match="cp1: take the lock"):
        lease.take(fake, OTHER, 120)
