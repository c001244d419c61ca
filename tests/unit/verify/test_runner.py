"""What a verification makes of packs and of nodes that misbehave; the packs here are written by the tests."""

import textwrap
import time
from dataclasses import replace

import pytest
from tests.unit.verify.fakes import Answers, Canned, FakeHost
from tests.unit.verify.machines import HERE

from slipway.errors import Unreachable, UsageError
from slipway.events import Event, Events
from slipway.inventory import load
from slipway.result import CommandTimedOut
from slipway.ssh.keys import HostKeyRefused
from slipway.verify import running
from slipway.verify.result import NodeVerification, Verdict
from slipway.verify.runner import Limits, NotKept, verify, verify_and_keep

COMMIT = "ab" * 20
FACTS = "/nix/store/system\n/nix/store/system\nthis-boot\n{machine}\n{node}\n\n\n{now}\n"


@pytest.fixture
def inventory(tmp_path):
    """A repository of its own, whose folder verify/ a test fills."""
    (tmp_path / "inventory.yaml").write_text((HERE / "inventory.yaml").read_text())
    (tmp_path / "verify").mkdir()
    return load(tmp_path / "inventory.yaml")


@pytest.fixture
def pack(inventory):
    """Write a file of the user's pack."""

    def write(text, name="mine.py"):
        (inventory.root / "verify" / name).write_text(textwrap.dedent(text))

    return write


def fine(_command: str) -> Canned:
    return Canned("", "fine\n")


def node(name: str, said: Answers = fine) -> FakeHost:
    """A node that tells its facts and answers everything else as `said` has it."""

    def answer(command: str) -> Canned:
        if command.startswith(running.ASK):
            return Canned("", f"/nix/store/system\nthis-boot\n/nix/store/system {COMMIT}\n" + said(command).stdout)
        if "boot_id" in command:
            return Canned("", FACTS.format(machine="a" * 32, node=name, now=time.time()))
        return said(command)

    return FakeHost(name, answer)


@pytest.fixture
def run(inventory):
    """Verify the user's pack on `names`; `hosts` are the nodes that are not plain."""

    def run(*names, hosts=None, limits=None, events=None, packs=("user",)):
        hosts = hosts or {}
        chosen = [inventory.host(name) for name in names or ("w1",)]
        found = verify(
            inventory, chosen, lambda name: hosts.get(name) or node(name), packs=packs, events=events, limits=limits
        )
        return {result.node: result for result in found.nodes}

    return run


def verdicts(result: NodeVerification) -> dict[str, str]:
    return {check.id: check.verdict.value for check in result.checks}


def test_each_way_to_end_has_its_verdict(pack, run):
    pack(
        """
        import pytest
        from slipway.verify.check import expect

        def test_passes(host):
            assert host.run("true").succeeded

        def test_fails(host):
            expect(False, expected="this", found="that", fix="mend it")

        def test_asserts(host):
            assert host.check_output("cat /etc/motto") == "festina lente"

        def test_breaks(host):
            {}["no such key"]

        def test_skips():
            pytest.skip("not today")

        def test_asks_wrongly(host):
            host.run_expect([7], "true")

        @pytest.fixture
        def broken():
            assert False, "a fixture is no check"

        def test_cannot_begin(broken):
            pass
        """
    )
    result = run()["w1"]
    assert verdicts(result) == {
        "user.mine.passes": "passed",
        "user.mine.fails": "failed",
        "user.mine.asserts": "failed",
        "user.mine.breaks": "error",
        "user.mine.skips": "skipped",
        "user.mine.asks_wrongly": "error",
        "user.mine.cannot_begin": "error",
    }
    assert not result.green
    by_name = {check.id: check for check in result.checks}
    assert by_name["user.mine.fails"].finding.to_json() == {
        "expected": "this", "found": "that", "command": "", "fix": "mend it",
    }  # fmt: skip
    assert "festina lente" in by_name["user.mine.asserts"].finding.found
    assert by_name["user.mine.asserts"].finding.command == "cat /etc/motto"
    assert by_name["user.mine.breaks"].finding.found == "KeyError: 'no such key'"
    assert by_name["user.mine.skips"].reason == "not today"
    assert "exit code 0, expected 7" in by_name["user.mine.asks_wrongly"].finding.found


def test_fixtures_tell_who_is_asked(pack, run):
    pack(
        """
        def test_who(host, node, inventory, facts, others):
            assert (node.name, facts.hostname) == ("w2", "w2")
            assert inventory.host("w2") == node
            assert sorted(others) == ["cp1"]
            assert facts.system == "/nix/store/system"
        """
    )
    assert run("cp1", "w2", hosts={"cp1": node("cp1")})["w2"].green


def test_checks_are_asked_of_the_roles_they_name(pack, run):
    pack(
        """
        from slipway.verify.check import controllers, workers, workloads

        @controllers
        def test_c(): pass

        @workers
        def test_w(): pass

        @workloads
        def test_l(): pass

        def test_all(): pass
        """
    )
    results = run("cp1", "w1")
    assert set(verdicts(results["cp1"])) == {"user.mine.c", "user.mine.all"}
    assert set(verdicts(results["w1"])) == {"user.mine.w", "user.mine.l", "user.mine.all"}


def test_conftest_and_helpers_of_the_user_serve_their_checks(pack, run):
    pack("import pytest\n\n@pytest.fixture\ndef motto():\n    return 'festina lente'\n", "conftest.py")
    pack("raise RuntimeError('nobody collects this')", "_helper.py")
    pack("def test_motto(motto):\n    assert motto == 'festina lente'\n")
    assert verdicts(run()["w1"]) == {"user.mine.motto": "passed"}


def test_a_file_that_cannot_be_read_is_an_error_on_every_node(pack, run):
    pack("def test_fine(): pass\n", "fine.py")
    pack("def test_broken(:\n", "broken.py")
    results = run("w1", "w2")
    for name in ("w1", "w2"):
        assert verdicts(results[name]) == {"user.broken": "error", "user.fine.fine": "passed"}
        assert "SyntaxError" in results[name].red[0].finding.found


def test_a_pack_of_which_nothing_ran_is_not_green(pack, run):
    pack("import pytest\n\ndef test_never():\n    pytest.skip('always')\n")
    assert not run()["w1"].green


def test_an_unreachable_node_is_its_own_error_and_the_others_finish(pack, run):
    pack("def test_fine(host):\n    host.check_output('true')\n")

    def away(_command):
        raise Unreachable("w1 (root@10.77.0.21): no answer")

    results = run("w1", "w2", hosts={"w1": FakeHost("w1", away)})
    assert results["w2"].green
    assert results["w1"].unreachable
    assert "no answer" in results["w1"].error
    assert results["w1"].checks == ()
    assert not results["w1"].green


@pytest.mark.parametrize(("links", "state"), [("\n\n", "not NixOS"), ("/nix/store/installer\n\n", "never deployed")])
def test_a_node_without_a_system_of_ours_is_told_once_and_asked_nothing(pack, run, links, state):
    pack("def test_fine(host):\n    host.check_output('true')\n")
    host = FakeHost("w1", lambda _: Canned("", f"{links}boot\n{'a' * 32}\nw1\n\n\n{time.time()}\n"))
    results = run("w1", "w2", hosts={"w1": host})
    assert results["w2"].green
    w1 = results["w1"]
    assert (w1.state, w1.hint, w1.checks, w1.green) == (state, "slipway deploy w1", (), False)
    assert len(host.asked) == 1


def test_a_node_whose_key_is_not_pinned_names_the_command_that_helps(pack, run):
    pack("def test_fine(): pass\n")

    def refused(_command):
        raise HostKeyRefused("w1: no host key is pinned", hint="slipway trust w1")

    w1 = run(hosts={"w1": FakeHost("w1", refused)})["w1"]
    assert (w1.state, w1.hint, w1.checks) == ("not trusted", "slipway trust w1", ())
    assert w1.unreachable


def test_a_lost_connection_ends_the_node_and_is_never_red(pack, run):
    pack(
        """
        def test_first(host):
            host.check_output("echo one")

        def test_second(host):
            assert not host.run("echo two").failed

        def test_third(host):
            host.check_output("echo three")
        """
    )

    def lost(command):
        if "two" in command:
            raise Unreachable("connection lost")
        return Canned("", "one\n")

    host = node("w1", lost)
    result = run(hosts={"w1": host})["w1"]
    assert verdicts(result) == {"user.mine.first": "passed", "user.mine.second": "error", "user": "error"}
    assert not any("three" in command for command in host.asked)
    assert "connection lost" in result.error


def test_a_command_without_an_end_is_an_error_of_its_check_alone(pack, run):
    pack("def test_slow(host):\n    host.run('sleep 9', timeout=2)\n\ndef test_next(host):\n    host.run('true')\n")

    def slow(command):
        if "sleep" in command:
            raise CommandTimedOut(["sleep", "9"], "w1", 2)
        return Canned("")

    result = run(hosts={"w1": node("w1", slow)})["w1"]
    assert verdicts(result) == {"user.mine.slow": "error", "user.mine.next": "passed"}
    assert "no end after 2 s" in result.red[0].finding.found


def test_a_check_that_hangs_is_bounded_and_the_other_nodes_finish(pack, run):
    pack(
        """
        import time

        def test_hangs_on_w1(host, node):
            host.check_output("echo before")
            if node.name == "w1":
                time.sleep(60)
        """
    )
    results = run("w1", "w2", limits=Limits(at_once=2, node=2.0))
    assert results["w2"].green
    assert "did not end within 2 s" in results["w1"].error
    assert "echo before" in results["w1"].error
    assert results["w1"].checks[-1].verdict is Verdict.ERROR


def test_a_check_that_kills_its_process_is_an_error(pack, run):
    pack("import os\n\ndef test_ends_it_all():\n    os._exit(3)\n")
    result = run()["w1"]
    assert not result.green
    assert "ended early" in result.error


def test_more_nodes_than_processes(pack, run):
    pack("def test_fine(host):\n    host.check_output('true')\n")
    results = run("cp1", "cp2", "w1", "w2", limits=Limits(at_once=1))
    assert all(result.green for result in results.values())


def test_a_users_surroundings_change_nothing(pack, run, inventory, monkeypatch):
    monkeypatch.setenv("PYTEST_ADDOPTS", "--no-such-option")
    (inventory.root / "pytest.ini").write_text("[pytest]\npython_functions = nothing_*\n")
    pack("def test_fine(): pass\n")
    assert run()["w1"].green


def test_events_tell_beginning_progress_and_end(pack, run):
    pack("def test_fine(): pass\n\ndef test_red():\n    assert False\n")
    seen: list[Event] = []
    run(events=Events(seen.append))
    assert [(event.node, event.state) for event in seen] == [
        ("w1", "started"), ("w1", "progress"), ("w1", "progress"), ("w1", "red"),
    ]  # fmt: skip
    assert seen[-1].data == {
        "passed": 1, "failed": 1, "errors": 0, "skipped": 0, "text": "1 of 2 checks red: user.mine.red",
    }  # fmt: skip


def test_an_unknown_pack_is_a_mistake_in_the_call(run):
    with pytest.raises(UsageError, match=r"no pack is called 'k0'; did you mean k0s\?"):
        run(packs=("k0",))


def test_required_packs_and_the_users_own_run_by_default(inventory, pack, run):
    pack("def test_fine(): pass\n")
    assert run(packs=())["w1"].packs == (*inventory.verify.packs, "user")


def test_no_nodes_no_work(inventory):
    assert verify(inventory, [], lambda name: node(name)).nodes == ()


def test_control_a_green_result_turns_red_with_one_red_check(pack, run):
    pack("def test_fine(): pass\n")
    result = run()["w1"]
    assert result.green
    assert not replace(result, checks=(replace(result.checks[0], verdict=Verdict.FAILED),)).green


def test_nothing_of_the_current_folder_nor_above_verify_is_run(pack, run, inventory, tmp_path, monkeypatch):
    """A folder that somebody unpacked holds a pickle.py, one above the repository a conftest.py or a pytest.ini."""
    mark = tmp_path / "ran"
    leave = f"open({str(mark)!r}, 'a').write(__file__ + '\\n')\n"
    cellar = tmp_path / "cellar"
    cellar.mkdir()
    (cellar / "pickle.py").write_text(leave)
    (inventory.root / "conftest.py").write_text(leave)
    (inventory.root / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    pack("def test_runs(host):\n    assert host.run('true').succeeded\n")
    pack(leave, name="conftest.py")
    monkeypatch.chdir(cellar)
    assert verdicts(run()["w1"]) == {"user.mine.runs": "passed"}
    assert mark.read_text().splitlines() == [str(inventory.root / "verify" / "conftest.py")]


def test_testinfra_hosts_of_a_file_are_the_nodes_it_is_asked_of(pack, run):
    pack("testinfra_hosts = ['w1', 'ssh://root@10.77.0.22:22']\n\ndef test_a(): pass\n", "named.py")
    pack("def test_b(): pass\n", "all.py")
    results = run("cp1", "w1", "w2")
    assert {name: sorted(verdicts(result)) for name, result in results.items()} == {
        "cp1": ["user.all.b"], "w1": ["user.all.b", "user.named.a"], "w2": ["user.all.b", "user.named.a"],
    }  # fmt: skip


def test_a_file_for_machines_that_nobody_knows_is_an_error_and_not_left_out(pack, run):
    pack("testinfra_hosts = ['w1', 'paramiko://db7']\n\ndef test_a(): pass\n", "named.py")
    result = run("w2")["w2"]
    assert verdicts(result) == {"user.named": "error"}
    assert "testinfra_hosts names paramiko://db7" in result.red[0].finding.found


def test_what_cannot_be_kept_is_in_the_error(pack, inventory):
    pack("def test_fine(): pass\n")
    (inventory.root / ".slipway").mkdir(exist_ok=True)
    (inventory.root / ".slipway" / "records").write_text("a file where the folder should be")
    with pytest.raises(NotKept, match="not written") as told:
        verify_and_keep(inventory, [inventory.host("w1")], node, packs=["user"])
    assert told.value.found.green
