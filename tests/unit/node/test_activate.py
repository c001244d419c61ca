"""Every way in which an activation can end, with the real script over a real sshd."""

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.unit.soon import soon

from slipway.errors import PrerequisiteMissing, Unreachable
from slipway.events import Events
from slipway.node import activate as module
from slipway.node import facts
from slipway.node.activate import Limits, activate
from slipway.outcome import Outcome

LIMITS = Limits(activate=20, confirm=20)
SHORT = Limits(activate=20, confirm=1)
ENOUGH_TO_ASK = Limits(activate=20, confirm=6)
"""No confirmation comes; why not has to be seen in time, on a machine that does much else."""


@pytest.fixture
def seen():
    return []


@pytest.fixture
def run(node, remote, seen):
    """Activate a system on the node."""

    def run(system, limits=LIMITS, host=remote, **more):
        return activate(host, system, Events(seen.append), limits=limits, places=node.places, **more)

    return run


def logins(server: Any) -> int:
    return int(server.log.read_text().count("Accepted publickey"))


def test_a_confirmed_system_runs_and_is_the_default(node, run):
    new = node.system("new")
    result = run(new)
    assert (result.outcome, result.reason) == (Outcome.OK, "")
    assert (node.current, node.profile) == (new, new)
    assert node.calls == ["new test", "new boot"]
    assert (result.old_system, result.new_system) == (str(node.folder / "old"), new)


def test_the_confirmation_comes_over_a_new_connection(node, run, sshd, remote):
    remote.run(["true"])
    before = logins(sshd)
    run(node.system("new"))
    assert logins(sshd) == before + 1


@pytest.mark.parametrize("shell", [name for name in ("dash", "bash") if shutil.which(name)])
def test_the_script_runs_in_any_shell(node, run, sshd, shell):
    node.install(sshd.folder, shell)
    assert run(node.system("new")).outcome is Outcome.OK


def test_what_the_activation_says_is_in_events_and_result(node, run, seen):
    result = run(node.system("new"))
    said = [event.data["text"] for event in seen if event.state == "progress"]
    assert "activating new: test" in said
    assert "activating new: test" in result.log
    assert [event.state for event in seen if event.phase == "confirm"] == ["done"]


def test_failed_units_are_kept_and_told(node, run):
    new = node.system("new", code=4)
    result = run(new)
    assert result.outcome is Outcome.DEGRADED
    assert (node.current, node.profile) == (new, new)


def test_another_init_interface_is_told_and_not_made_the_default_untested(node, run):
    result = run(node.system("new", code=100))
    assert result.outcome is Outcome.REBOOT_REQUIRED
    assert "another init interface, which takes a reboot; nothing was changed: `slipway deploy --boot" in result.reason
    assert Path(node.current).name == Path(node.profile).name == "old"


def test_a_system_for_the_next_boot_alone_changes_nothing_now(node, run):
    new = node.system("new")
    result = run(new, boot=True)
    assert (result.outcome, result.reason) == (Outcome.REBOOT_REQUIRED, "the system is set for the next boot")
    assert (node.current, node.profile, node.calls) == (str(node.folder / "old"), new, ["new boot"])


@pytest.mark.parametrize("words", ["Activation script snippet 'users' failed (12)", "Failed to run activate script"])
def test_a_failed_activation_script_is_seen_behind_failed_units(node, run, words):
    """switch-to-configuration overwrites its 2 with a 4 where units fail as well; what a script that is killed leaves
    of itself are the words of switch-to-configuration."""
    result = run(node.system("new", code=4, before=f'echo "{words}" >&2'))
    assert result.outcome is Outcome.ROLLED_BACK
    assert "its activation script failed, and so did units" in result.reason
    assert Path(node.current).name == "old"


def test_a_failed_activation_script_returns_to_the_old_system(node, run):
    result = run(node.system("new", code=2))
    assert result.outcome is Outcome.ROLLED_BACK
    assert "activation script failed (exit code 2); the old system is active again" in result.reason
    assert Path(node.current).name == Path(node.profile).name == "old"
    assert node.calls == ["new test", "old test"]


def test_words_of_a_unit_are_no_words_of_the_activation(node, run):
    said = "Nov 25 12:00:00 n1 app[7]: Failed to run activate script"
    assert run(node.system("new", code=4, before=f'echo "{said}" >&2')).outcome is Outcome.DEGRADED


def test_a_refusal_leaves_all_as_it_was(node, run):
    result = run(node.system("new", code=1))
    assert result.outcome is Outcome.BLOCKED
    assert "refused to be activated (exit code 1); nothing was changed" in result.reason


@pytest.mark.parametrize("missing", ["nixos-version", "bin/switch-to-configuration"])
def test_what_is_no_system_is_not_activated(node, run, missing):
    new = node.system("new")
    (Path(new) / missing).unlink()
    result = run(new)
    assert result.outcome is Outcome.BLOCKED
    assert f"{new} is no NixOS system; nothing was changed" in result.reason
    assert node.calls == []


def test_an_error_half_way_with_the_code_of_a_refusal_is_none(node, run):
    new = node.system("new", code=1, before=f"ln -sfn $system {node.places.current}")
    result = run(new)
    assert result.outcome is Outcome.ROLLED_BACK
    assert Path(node.current).name == "old"


def test_an_activation_that_hangs_is_ended(node, run):
    result = run(node.system("new", before="sleep 60"), Limits(activate=1, confirm=10))
    assert result.outcome is Outcome.ROLLED_BACK
    assert "did not end within 1 s" in result.reason
    assert Path(node.current).name == "old"


def test_a_first_system_has_nothing_to_return_to(node, run):
    Path(node.places.current).unlink()
    Path(node.places.profile).unlink()
    result = run(node.system("new", code=2))
    assert result.outcome is Outcome.ACTIVATION_FAILED
    assert "no system before that it could return to" in result.reason
    assert not Path(node.places.profile).exists()
    assert result.old_system is None


def test_an_old_system_that_fails_as_well_is_told(node, run):
    (node.folder / "old" / "code").write_text("2")
    result = run(node.system("new", code=2))
    assert result.outcome is Outcome.ACTIVATION_FAILED
    assert "could not be activated again either (exit code 2); a reboot brings it back" in result.reason


def reboots(node: Any, sshd: Any, ends: int = 0) -> Path:
    """A fake systemctl that notes a reboot, after which the old system runs; it is done when the file is there. It
    waits until the deployer has heard of it."""
    done, program = Path(node.folder, "rebooted"), sshd.folder / "bin" / "systemctl"
    heard = f"until [ -e {node.folder}/heard ]; do sleep 0.1; done"
    back = f"{heard}; ln -sfn {node.folder / 'old'} {node.places.current}; rm -rf {node.places.run}; touch {done}"
    program.write_text(f"#!/bin/sh\n[ $1 = reboot ] || exit 0\n[ {ends} != 0 ] || {{ {back}; }}\nexit {ends}\n")
    program.chmod(0o755)
    return done


@pytest.fixture
def boots(monkeypatch):
    """Says which boot it is: the second one once this file is there. Notes that a reboot was heard of."""

    def boots(done: Path) -> None:
        read, look = facts.read, module._Activation._look

        def looked(activation):
            report = look(activation)
            if activation.reboots:
                (done.parent / "heard").touch()
            return report

        monkeypatch.setattr(module._Activation, "_look", looked)
        monkeypatch.setattr(
            facts, "read", lambda *asked: replace(read(*asked), boot_id="second" if done.exists() else "first")
        )

    return boots


def test_a_node_that_can_go_neither_way_boots_its_old_system_where_that_is_wanted(node, run, sshd, boots):
    done = reboots(node, sshd)
    boots(done)
    (node.folder / "old" / "code").write_text("2")
    result = run(node.system("new", code=2), Limits(activate=20, confirm=20, reboot=20))
    assert done.exists()
    assert result.outcome is Outcome.ROLLED_BACK
    assert result.reason == ("its activation script failed (exit code 2); the old system could not be activated again, "
                             "so the node has booted it")  # fmt: skip
    assert Path(node.current).name == Path(node.profile).name == "old"


def test_control_nobody_reboots_without_being_asked_to(node, run, sshd):
    done = reboots(node, sshd)
    (node.folder / "old" / "code").write_text("2")
    assert run(node.system("new", code=2)).outcome is Outcome.ACTIVATION_FAILED
    assert not done.exists()


def test_a_reboot_that_does_not_begin_leaves_the_node_stuck(node, run, sshd):
    reboots(node, sshd, ends=1)
    (node.folder / "old" / "code").write_text("2")
    result = run(node.system("new", code=2), Limits(activate=20, confirm=20, reboot=20))
    assert result.outcome is Outcome.ACTIVATION_FAILED
    assert "could not be activated again either (exit code 2); a reboot brings it back" in result.reason


def test_no_node_boots_what_nobody_has_tested(node, run, sshd):
    """The new system is the default already, and could not be taken back."""
    done, old = reboots(node, sshd), node.folder / "old"
    (old / "code").write_text("2")
    (old / "refuses-set").touch()
    result = run(node.system("new", boot_code=1), Limits(activate=20, confirm=20, reboot=20))
    assert result.outcome is Outcome.ACTIVATION_FAILED
    assert "nor set as the default: the next boot takes the new one" in result.reason
    assert not done.exists()


def test_a_default_that_cannot_be_set_returns_to_the_old_system(node, run):
    new = node.system("new")
    (Path(new) / "refuses-set").touch()
    result = run(new)
    assert result.outcome is Outcome.ROLLED_BACK
    assert "could not be made the default" in result.reason
    assert Path(node.current).name == Path(node.profile).name == "old"


def test_a_boot_loader_that_fails_returns_profile_and_system(node, run):
    result = run(node.system("new", boot_code=1))
    assert result.outcome is Outcome.ROLLED_BACK
    assert Path(node.current).name == Path(node.profile).name == "old"
    assert node.calls == ["new test", "new boot", "old boot", "old test"]


@pytest.fixture
def breakable(tmp_path_factory, running_sshd, node):
    """A server that a test may stop."""
    with running_sshd(tmp_path_factory.mktemp("breakable")) as server:
        node.install(server.folder)
        yield server


def test_a_system_that_lets_nobody_in_any_more_returns_by_itself(node, run, breakable):
    """The old connection lives on, as it does behind a new firewall; only new ones fail."""
    host = breakable.remote()
    new = node.system("new", before=f"kill {breakable.pid}; sleep 0.5")
    result = run(new, ENOUGH_TO_ASK, host)
    host.close()
    assert result.outcome is Outcome.ROLLED_BACK
    assert "no confirmation over a new connection within 6 s: node" in result.reason
    assert "connection refused" in result.reason
    assert Path(node.current).name == Path(node.profile).name == "old"


def test_a_node_that_is_lost_meanwhile_is_asked_again(node, run, breakable, tmp_path_factory):
    """Everything breaks, the node returns to its old system, whose sshd comes up again."""
    host = breakable.remote()
    host.run(["true"])
    new = node.system("new", before=f"kill {' '.join(map(str, [breakable.pid, *breakable.connections()]))}")
    (node.folder / "old" / "before").write_text(
        f"setsid {breakable.command} >/dev/null 2>&1 & echo $! >{node.folder}/sshd.pid"
    )
    result = run(new, SHORT, host)
    host.close()
    os.kill(int((node.folder / "sshd.pid").read_text()), signal.SIGTERM)
    assert result.outcome is Outcome.ROLLED_BACK
    assert Path(node.current).name == "old"


def test_a_node_that_stays_away_is_unreachable(node, run, breakable, monkeypatch):
    monkeypatch.setattr(module, "SPARE", 1.0)
    host = breakable.remote()
    host.run(["true"])
    new = node.system("new", before=f"kill {' '.join(map(str, [breakable.pid, *breakable.connections()]))}")
    result = run(new, Limits(activate=4, confirm=1), host)
    assert result.outcome is Outcome.UNREACHABLE
    assert "lost while it activated" in result.reason


def test_a_node_that_cannot_be_reached_at_first_is_left_alone(node, run, sshd):
    result = run(node.system("new"), host=sshd.remote(port=1))
    assert result.outcome is Outcome.UNREACHABLE
    assert "before anything was changed" in result.reason
    assert node.calls == []


def test_two_activations_at_a_time_are_one_too_many(node, run, sshd):
    slow, other = node.system("slow", before="sleep 2"), node.system("other")
    results = []
    second = sshd.remote()
    thread = threading.Thread(target=lambda: results.append(run(slow)))
    thread.start()
    soon(lambda: node.calls != [])
    refused = run(other, host=second)
    second.close()
    thread.join()
    assert refused.outcome is Outcome.BLOCKED
    assert "already exists" in refused.reason
    assert results[0].outcome is Outcome.OK
    assert "other test" not in node.calls


def test_a_script_that_is_killed_is_judged_by_what_the_node_runs(node, run):
    new = node.system("new", before="sleep 30")
    results = in_thread(lambda: run(new))
    soon(lambda: node.calls != [])
    os.killpg(node.unit, signal.SIGKILL)
    soon(lambda: results != [])
    assert results[0].outcome is Outcome.ROLLED_BACK
    assert "it was stopped or killed; the old system is active again" in results[0].reason
    assert node.calls == ["new test", "old test"]


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_a_unit_that_is_stopped_while_it_waits_returns_all_the_same(node, run, kind, monkeypatch):
    monkeypatch.setattr(module._Activation, "_confirm", lambda _: None)
    results = in_thread(lambda: run(node.system("new")))
    soon(lambda: node.calls == ["new test"])
    time.sleep(0.5)
    os.killpg(node.unit, kind)
    soon(lambda: results != [])
    assert results[0].outcome is Outcome.ROLLED_BACK
    assert Path(node.current).name == Path(node.profile).name == "old"


def test_a_confirmed_system_is_kept_also_where_its_unit_dies_before_the_boot_entry(node, run):
    hangs_once = node.folder / "hung"
    new = node.system("new", before_boot=f"[ -e {hangs_once} ] || {{ touch {hangs_once}; sleep 60; }}")
    results = in_thread(lambda: run(new))
    soon(hangs_once.exists)
    os.killpg(node.unit, signal.SIGKILL)
    soon(lambda: results != [])
    assert (results[0].outcome, node.current, node.profile) == (Outcome.OK, new, new)
    assert node.calls == ["new test", "new boot", "new boot"]


def test_a_node_that_forgot_is_judged_by_what_it_runs(node, run):
    """Its folder is gone, and it did not restart: what it runs may be half of the new system."""
    new = node.system("new", before=f"rm -rf {node.places.run}; sleep 30")
    result = run(new)
    assert result.outcome is Outcome.ACTIVATION_FAILED
    assert f"ended without a word; it runs {node.folder / 'old'}" in result.reason


def test_a_profile_that_waits_for_the_garbage_collector_is_not_waited_for_without_end(node, run, sshd):
    (sshd.folder / "bin" / "nix-env").write_text("#!/bin/sh\nexec sleep 600\n")
    result = run(node.system("new"), Limits(activate=20, confirm=20, profile=1))
    assert result.outcome is Outcome.ROLLED_BACK
    assert "could not be made the default of the next boot" in result.reason


def test_a_profile_that_cannot_be_set_back_is_told(node, run):
    new = node.system("new", boot_code=1)
    (node.folder / "old" / "refuses-set").touch()
    result = run(new)
    assert result.outcome is Outcome.ACTIVATION_FAILED
    assert "the old system is active again, but the profile could not be set back" in result.reason
    assert node.profile == new


def test_a_node_that_lets_us_in_but_not_ask_is_asked_again(node, run, monkeypatch):
    """As where the new system takes sudo away: the node returns, and that is the result."""
    look, asked = module._Activation._look, []

    def looks(activation):
        asked.append(True)
        if len(asked) < 5:
            raise PrerequisiteMissing("sudo: a password is required")
        return look(activation)

    monkeypatch.setattr(module._Activation, "_look", looks)
    result = run(node.system("new"), SHORT)
    assert result.outcome is Outcome.ROLLED_BACK
    assert "no confirmation over a new connection within 1 s" in result.reason


def test_a_node_that_refuses_our_key_is_not_asked_without_a_pause(node, run, sshd, monkeypatch):
    """sshd and others shut those out for longer who knock too often."""
    knocks = []
    monkeypatch.setattr(module, "KNOCK", 1.0)

    def refuses(_host, *, cut):
        knocks.append(time.monotonic())
        raise Unreachable("node: permission denied")

    monkeypatch.setattr(type(sshd.remote()), "fresh", refuses)
    run(node.system("new"), ENOUGH_TO_ASK)
    assert len(knocks) >= 2
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(knocks))


def test_given_up_after_the_confirmation_says_so(node, run, seen):
    new = node.system("new")
    result = run(new, given_up=lambda: any(e.phase == "confirm" and e.state == "done" for e in seen))
    assert "left to itself while it activated; confirmed, it keeps the new system" in result.reason
    soon(lambda: node.profile == new)
    assert node.current == new


def test_given_up_leaves_the_node_to_itself(node, run):
    result = run(node.system("new"), SHORT, given_up=lambda: True)
    assert "left to itself" in result.reason
    soon(lambda: node.calls == ["new test", "old test"])


def test_folders_of_earlier_activations_are_removed(node, run):
    assert run(node.system("first")).outcome is Outcome.OK
    soon(lambda: not node.unit_runs)
    assert run(node.system("second")).outcome is Outcome.OK
    assert len([path for path in Path(node.places.run).iterdir() if path.is_dir()]) == 1


def in_thread(call: Callable[[], Any]) -> list[Any]:
    """What `call` returns, once it has."""
    results: list[Any] = []
    threading.Thread(target=lambda: results.append(call()), daemon=True).start()
    return results


def test_a_system_that_is_not_well_is_not_confirmed_and_goes(node, run, seen, monkeypatch):
    monkeypatch.setattr(module, "KNOCK", 0.2)
    result = run(node.system("new"), ENOUGH_TO_ASK, problem=lambda _fresh: "health check: too hot")
    assert result.outcome is Outcome.ROLLED_BACK
    assert result.reason.startswith("no confirmation over a new connection within 6 s: health check: too hot")
    assert node.current == node.profile == str(node.folder / "old")


def test_a_system_that_gets_well_in_time_is_kept(node, run, monkeypatch):
    monkeypatch.setattr(module, "KNOCK", 0.1)
    sights = iter(["not yet", "not yet", ""])
    result = run(node.system("new"), problem=lambda _fresh: next(sights, ""))
    assert result.outcome is Outcome.OK


GRUB, OTHER_GRUB = "a" * 32 + "-install-grub.sh", "b" * 32 + "-install-grub.sh"
SYSTEMD_BOOT = "c" * 32 + "-install-systemd-boot.sh"


def wrapper(program: str) -> str:
    """As switch-to-configuration-ng's wrapper has it; never reached here."""
    return f"export INSTALL_BOOTLOADER='/nix/store/{program}'\n"


@pytest.mark.parametrize(
    ("before", "after", "installs"),
    [
        (wrapper(GRUB), wrapper(GRUB), "0"),
        (wrapper(GRUB), wrapper(OTHER_GRUB), "0"),
        (wrapper(GRUB), wrapper(SYSTEMD_BOOT), "1"),
        ("", wrapper(SYSTEMD_BOOT), "0"),
        (wrapper(GRUB), "", "0"),
        ("", "", "0"),
    ],
)
def test_a_boot_loader_of_another_kind_is_installed(node, run, before, after, installs):
    switch = node.folder / "old" / "bin" / "switch-to-configuration"
    switch.write_text(switch.read_text() + before)
    assert run(node.system("new", loader=after)).outcome is Outcome.OK
    assert (node.folder / "installs").read_text().split() == [installs]
