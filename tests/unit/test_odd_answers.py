"""Whatever a node answers to any question, it is that node's error and nothing else's: over every reader there is."""

import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.cluster.credentials import admin, written

from slipway.cluster import backup, join, kubeconfig, members, rekeying, restore, token, unit
from slipway.errors import SlipwayError
from slipway.events import Event, Events
from slipway.hardware import probe, proposal
from slipway.install import disks, hostkey, machine, steps
from slipway.inventory import load, model
from slipway.node import activate, contents, diff, facts, health, journal, reboot
from slipway.outcome import NodeResult
from slipway.result import CommandResult, OddAnswer
from slipway.rollout import lease, revision
from slipway.secret import Secret
from slipway.ssh.connection import Endpoint
from slipway.ssh.host import Host
from slipway.ssh.pool import Unforeseen
from slipway.verify import facts as asked
from slipway.verify import running

SYSTEMS = "system1=/nix/store/a\nsystem2=/nix/store/a\nsystem3=/nix/store/a\n"
FACTS = f"hostname=w9\nboot_id=b\n{SYSTEMS}systemd=1\nnix=1\nfailed=\nfree=9999\n"
SAID = '"phase": "activating", "code": -1, "back": -1, "old": "/nix/store/a", "default": "/nix/store/a", "reason": ""'
STATUS = f"running\n{{{SAID}}}\nlog\n"
US = lease.Holder("run", "user", "here", 1, "/folder", "now")
ARCHIVE = backup.Archive(backup.About("c", "i", "1.36.3+k0s.2", "cp1", "10.0.0.1", "now"), Secret(b""))
INVENTORY = load(Path(__file__).parents[2] / "examples" / "single" / "inventory.yaml")
PROBE = (Path(__file__).parent / "hardware" / "probes" / "server.txt").read_text(encoding="utf-8")


@dataclass
class FakeHost:
    """A fake machine that gives the same answer to whatever it is asked; its facts may stay right."""

    said: str
    honest_about_facts: bool = False
    name: str = "w9"

    def run(self, argv: Sequence[str], **_how: object) -> CommandResult:
        said = FACTS if self.honest_about_facts and "facts" in argv else self.said
        return CommandResult(tuple(argv), self.name, 0, said, said, 0.1)

    def put(self, *_what: object, **_how: object) -> None:
        pass

    @contextmanager
    def fresh(self, *, cut: bool = False):
        yield self

    def close(self) -> None:
        pass


def activated(host: Host) -> NodeResult:
    return activate.activate(host, "/nix/store/b", Events(), limits=activate.Limits(0.001, 0.001, 0.001))


def proposed(host: Host) -> str:
    hardware = probe.read(host)
    assert proposal.summary(hardware) is not None
    endpoint = Endpoint("w9", "10.0.0.9")
    return proposal.propose(hardware, proposal.Entry("w9", endpoint, None))


def fits(host: Host) -> str:
    restore._require_release(host, ARCHIVE)
    return "fits"


READERS: dict[str, tuple[Callable[[Host], object], str]] = {
    "facts": (facts.read, FACTS),
    "activation": (activated, STATUS),
    "closures": (lambda host: diff.closures(host, "/a", "/b"), "k0s: 1.0 → 1.1\n"),
    "hardware": (proposed, PROBE),
    "membership": (members.look, "control-plane active issued=abc123:w1 machine-id=1 started=1/2.0/3.0 ca=f\n"),
    "etcd": (members.etcd_members, '{"members": {"cp1": "https://10.0.0.1:2380"}}'),
    "token": (lambda host: token.create(host, token.Kind.WORKER, "w1"), "H4sI"),
    "noted tokens": (lambda host: token.noted(host, "w1"), "abc123\ndef456\n"),
    "kubeconfig": (
        lambda host: kubeconfig.fetch(host, INVENTORY),
        written(admin(f"https://{INVENTORY.controllers[0].address}:6443")),
    ),
    "unit": (unit.standing, "ActiveState=active\nResult=success\nNRestarts=0\n"),
    "journal": (unit.cause, "level=fatal msg=gone\n"),
    "API server": (join.api_problem, "[-]etcd failed: reason withheld\n"),
    "verification": (asked.gather, "/nix/store/a\n/nix/store/a\nb\nm\nw9\n\n\n1700000000.5\n"),
}

READERS |= {
    "contents": (
        lambda host: contents.read(host, ["/nix/store/x"]),
        "boot kernel /nix/store/k\nk0s /nix/store/z-k0s.yaml YTogMQ==\nlacks /nix/store/x\nhas /nix/store/y\n",
    ),
    "dry activation": (
        lambda host: diff.touched_units(diff.dry_activate(host, "/b")),
        "would stop the following units: k0s.service, a.mount\nwould restart the following units: sshd.service\n",
    ),
    "parts that take a reboot": (lambda host: reboot.parts(host, "/b"), "kernel\ninitrd\n"),
    "entries of the journal": (
        lambda host: journal.read(host, [], lines=5),
        '{"__REALTIME_TIMESTAMP": "1700000000000001", "UNIT": "k0s.service", "MESSAGE": [104]}\n-- cursor: s=1;i=2\n',
    ),
    "lock": (
        lambda host: lease.take(host, US, 60),
        'held 12\n{"run": "r", "user": "u", "host": "h", "pid": 1, "folder": "/f", "since": "s", "process": {}}\n',
    ),
    "minor version": (join.serves_minor, '{"major": "1", "minor": "36"}'),
    "health check": (lambda host: health.problem(host, model.HealthCheck(command="true")) or "well", "not well\n"),
    "keys for Secrets": (
        rekeying.look, "key=a:1\nkey=b:2\nwrites=1\nwritten=1700000000\nstarted=1700000001.5\nstored-anew=a:1\n",
    ),
    "Secrets stored anew": (
        lambda host: rekeying.stored_anew(host), "12\n",
    ),
    "part of an archive": (lambda host: backup._fetch(host, "/archive", 3, Events()), "AAAA"),
    "release before a restore": (
        fits, "v1.36.3+k0s.2\n",
    ),
    "release of k0s": (backup.running_release, '{"Version": "v1.36.3+k0s.2", "Pid": 1}'),
    "installer": (machine.look, PROBE + "\n\nb\n"),
    "disks": (
        lambda host: disks.look(host, ["/dev/disk/by-id/a"]),
        "disk\t/dev/disk/by-id/a\t/dev/sda\t1000\tmodel\npart\t/dev/disk/by-id/a\t/dev/sda1\t10\text4\tl\t/\n"
        "cluster\t/dev/sda1\t/var/lib/k0s\nclosed\t/dev/sda1\tno key\nmissing\t/dev/b\n",
    ),
    "host key of a new system": (lambda host: hostkey.there(host, "/mnt") or "none", "ssh-ed25519 AAAA root@w9\n"),
    "arrival": (lambda host: steps.runs(host, "/nix/store/a"), FACTS),
    "gate": (
        lambda host: running.ask(host, copy=True),
        f"/nix/store/a\nb\n/nix/store/a {'ab' * 20}\n"
        '{"time": "2026-11-26T00:00:00+00:00", "green": true, "checks": 3}',
    ),
    "commit": (lambda host: revision.commit_of(facts.read(host)) or "none", f"{FACTS}note=/nix/store/a {'ab' * 20}\n"),
}  # fmt: skip

WORDS = st.text(max_size=30) | st.sampled_from(
    ["", "-1", "1e999", "nan", "null", "[]", "{}", '{"members": 1}', "9" * 5000, "[" * 3000, "=", "\t", "\x1b[2J", "{"]
)


@st.composite
def odd(draw: st.DrawFn, right: str) -> str:
    """The right answer with some of its lines or words lost, doubled or replaced; or something else altogether."""
    if draw(st.integers(0, 4)) == 0:
        return draw(WORDS)
    separator = draw(st.sampled_from(["\n", " ", "=", ":", '"', "\t", ","]))
    parts = right.split(separator)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(parts) - 1))
        parts[place : place + 1] = draw(st.sampled_from([[], [parts[place]] * 2, [draw(WORDS)]]))
        parts = parts or [""]
    return separator.join(parts)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    for name in ("SPARE", "POLL", "RECONNECT", "KNOCK"):
        monkeypatch.setattr(activate, name, 0.0)


@pytest.mark.parametrize("reader", READERS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_odd_answer_is_that_node_s_error(reader, data):
    read, right = READERS[reader]
    for honest in (True, False):
        host = FakeHost(data.draw(odd(right)), honest_about_facts=honest)
        try:
            read(host)
        except SlipwayError as error:
            # for_each's word for what nobody foresaw: told of the node, but no error that anybody can act on.
            assert "w9" in str(error) and not isinstance(error, Unforeseen)


@pytest.mark.parametrize("reader", [name for name in READERS if name != "token"])
def test_control_the_right_answer_is_read(reader):
    read, right = READERS[reader]
    assert read(FakeHost(right, honest_about_facts=True)) is not None


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        ("membership", "kubelet evil\n"),
        ("facts", FACTS.replace("9999", "lots")),
        ("facts", "hostname=w9\n"),
        ("etcd", "[]"),
        ("etcd", "[" * 100_000),
        ("verification", "s\np\nb\nm\nh\nsoon\n"),
        ("verification", "s\np\nb\nm\nh\nnan\n"),
    ],
)
def test_what_ended_the_run_of_all_nodes_is_one_node_s_error(reader, said):
    with pytest.raises(OddAnswer, match=r"w9: .*the answer makes no sense"):
        READERS[reader][0](FakeHost(said))


def test_an_activation_that_never_ends_is_followed_for_its_time_and_no_longer():
    """A node that says `activating` for ever kept us following for ever."""
    began = time.monotonic()
    result = activated(FakeHost(STATUS, honest_about_facts=True))
    assert time.monotonic() - began < 60
    assert "it runs /nix/store/a" in result.reason


def test_a_status_that_makes_no_sense_is_asked_for_again():
    """The node decides alone; one odd answer says nothing about what it runs."""
    answers = iter(["running\nnot json\n", STATUS.replace("activating", "kept").replace('"code": -1', '"code": 0')])

    class Odd(FakeHost):
        def run(self, argv: Sequence[str], **how: object) -> CommandResult:
            said = next(answers) if "ask" in argv else FACTS
            return CommandResult(tuple(argv), self.name, 0, said, "", 0.1)

    limits = activate.Limits(5, 5)
    result = activate.activate(Odd(""), "/nix/store/b", Events(), limits=limits)
    assert result.outcome == "ok"


def test_a_log_without_end_fills_no_disk(monkeypatch):
    monkeypatch.setattr(activate, "MOST_LINES", 10)
    told: list[Event] = []
    activate.activate(
        FakeHost(STATUS + "line\n" * 1000, honest_about_facts=True),
        "/nix/store/b",
        Events(told.append),
        limits=activate.Limits(0.02, 0.02, 0.02),
    )
    assert sum(event.state == "progress" for event in told) == 11
