"""Another key for Secrets at rest: what is asked of controllers, and which keys a deploy refuses to bring."""

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from slipway.cluster import encryption, rekeying
from slipway.cluster.encryption import Key, Keys
from slipway.cluster.rekeying import GOES_BY, Holding, UnsafeKeys
from slipway.errors import SlipwayError, Unreachable
from slipway.generate.k0s import ENCRYPTION
from slipway.result import CommandFailed, CommandResult, OddAnswer
from slipway.secret import Secret

OLD, NEW, ANOTHER = (Key(name, Secret(name[-1].encode() * 32)) for name in ("slipway", "slipway-2", "slipway-3"))
ONE, READ, WRITTEN, DONE = (Keys(every) for every in ((OLD,), (OLD, NEW), (NEW, OLD), (NEW,)))


def holds(keys: Keys, *, writes: bool = True, loaded: bool = True, stored_anew: str = "") -> Holding:
    return Holding(keys.marks, writes, loaded, stored_anew)


def every(holding: Holding, **others: Holding | SlipwayError) -> dict[str, Holding | SlipwayError]:
    return {"cp1": holding, "cp2": holding, "cp3": holding, **others}


# --- what a controller says ---


class Controller:
    """The script runs for real, with its places in a folder and with fakes of k0s and systemctl."""

    name = "cp1"

    def __init__(self, folder: Path, started: int = 0) -> None:
        self.folder, self.metrics = folder, folder / "metrics"
        self.started = started
        for program, text in {"k0s": f"cat {self.metrics}", "systemctl": f"echo @{started}"}.items():
            (folder / program).write_text(f"#!/bin/sh\n{text}\n")
            (folder / program).chmod(0o755)
        self.metrics.touch()

    def run(self, argv, *, input=None, timeout=60.0, check=True, expect=(0,)):
        script = argv[2].replace("/etc/k0s", str(self.folder))
        path = {"PATH": f"{self.folder}:{os.environ['PATH']}"}
        said = subprocess.run(["sh", "-c", script, *argv[3:]], capture_output=True, text=True, env=path, check=False)
        result = CommandResult(tuple(argv), self.name, said.returncode, said.stdout, said.stderr, 0.0)
        if check and said.returncode not in expect:
            raise CommandFailed(result)
        return result

    @property
    def file(self) -> Path:
        return self.folder / Path(ENCRYPTION).name

    def has(self, keys: Keys, *, writes: bool = True) -> None:
        self.file.write_bytes(encryption.configuration(keys, writes=writes).reveal())

    def goes_by(self, path: Path) -> None:
        digest = subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]
        labels = f'apiserver_id_hash="sha256:{"e" * 64}",hash="sha256:{digest}"'
        self.metrics.write_text(f"{GOES_BY}{{{labels}}} 1\nother 2\n")


@pytest.fixture
def controller(tmp_path) -> Any:
    return Controller(tmp_path)


def test_without_keys_there_is_nothing_to_say(controller):
    assert rekeying.look(controller) == Holding()


@pytest.mark.parametrize("writes", [True, False])
def test_keys_are_told_in_their_order_and_by_their_marks(controller, writes):
    controller.has(WRITTEN, writes=writes)
    said = rekeying.look(controller)
    assert (said.keys, said.writes, said.stored_anew) == (WRITTEN.marks, writes, "")
    assert said.writer == (NEW.mark if writes else "")


def test_a_key_is_in_force_when_the_api_server_says_the_digest_of_the_file(controller):
    controller.has(ONE)
    controller.goes_by(controller.file)
    assert rekeying.look(controller).loaded
    controller.has(READ)
    assert not rekeying.look(controller).loaded


@pytest.mark.parametrize(("after", "loaded"), [(3600, True), (-3600, False), (0, False)])
def test_without_that_digest_an_api_server_knows_what_was_there_at_its_start(tmp_path, after, loaded):
    written = 1_795_000_000
    controller: Any = Controller(tmp_path, started=written + after)
    controller.has(ONE)
    os.utime(controller.file, (written, written))
    assert rekeying.look(controller).loaded is loaded


def test_the_mark_of_what_was_stored_anew_is_read_back(controller):
    controller.has(DONE)
    controller.run(["sh", "-c", rekeying.MARK_DONE, "note it", NEW.mark])
    assert rekeying.look(controller).stored_anew == NEW.mark


def test_an_odd_answer_is_that_controllers(controller):
    controller.run = lambda *_, **__: CommandResult(("x",), "cp1", 0, "key=a:b\nwritten=soon\n", "", 0.0)
    with pytest.raises(OddAnswer, match="cp1"):
        rekeying.look(controller)


# --- what a deploy brings ---


@pytest.mark.parametrize(
    ("keys", "seen"),
    [
        (ONE, every(Holding())),
        (ONE, every(holds(ONE))),
        (DONE, every(holds(ONE, writes=False, loaded=False))),  # nothing was ever encrypted
        (READ, every(holds(ONE))),
        (READ, every(holds(ONE, loaded=False), cp2=holds(READ))),
        (WRITTEN, every(holds(READ))),
        (WRITTEN, every(holds(READ), cp2=holds(WRITTEN))),
        (WRITTEN, every(holds(WRITTEN, loaded=False))),
        (READ, every(holds(WRITTEN))),  # back again
        (DONE, every(holds(WRITTEN, stored_anew=NEW.mark))),
        (DONE, every(holds(WRITTEN, stored_anew=NEW.mark), cp1=holds(DONE))),
        (ONE, every(holds(ONE), cp3=Unreachable("cp3: no route"))),
        (READ, every(holds(ONE), cp3=Holding())),
    ],
)
def test_keys_that_leave_no_secret_unread_are_brought(keys, seen):
    rekeying.require(keys, seen)


@pytest.mark.parametrize(
    ("keys", "seen", "why"),
    [
        (DONE, every(holds(ONE)), "cp1: Secrets may be stored with its key slipway, which is not in"),
        (Keys((Key("slipway", Secret(b"x" * 32)),)), every(holds(ONE)), "key slipway, which is another one in"),
        (WRITTEN, every(holds(ONE)), "cp1: its API server does not read by the key slipway-2 yet"),
        (WRITTEN, every(holds(READ), cp2=holds(ONE)), "cp2: its API server does not read by"),
        (WRITTEN, every(holds(READ), cp3=holds(READ, loaded=False)), "cp3: its API server does not read by"),
        (WRITTEN, every(holds(READ), cp3=Unreachable("no route")), "cp3: cannot be asked"),
        (DONE, every(holds(WRITTEN)), "may be stored with its key slipway,"),
        (DONE, every(holds(WRITTEN, stored_anew=NEW.mark), cp2=holds(WRITTEN)), "cp2: Secrets may be stored"),
        (DONE, every(holds(WRITTEN, stored_anew=NEW.mark), cp2=holds(READ, stored_anew=NEW.mark)), "cp2: Secrets may"),
        (ONE, every(holds(READ)), "may be stored with its key slipway-2"),  # which may have been written with once
        (Keys((ANOTHER, NEW)), every(holds(WRITTEN)), "may be stored with its key slipway,"),
    ],
)
def test_unsafe_jumps_are_refused(keys, seen, why):
    with pytest.raises(UnsafeKeys, match=why):
        rekeying.require(keys, seen)


@pytest.mark.parametrize(("keys", "asked"), [(ONE, 0), (READ, 0), (WRITTEN, 2)])
def test_api_servers_are_asked_for_what_they_go_by_only_where_it_matters(tmp_path, keys, asked):
    """Their answer has megabytes; it decides where another key is written with."""
    fleet: Any = Fleet(tmp_path, READ if keys is WRITTEN else ONE)
    questions = tmp_path / "questions"
    for one in fleet.controllers:
        program = one.folder / "k0s"
        program.write_text(program.read_text().replace("\n", f"\necho asked >>{questions}\n", 1))
        one.goes_by(one.file)
    rekeying.check(keys, fleet, fleet)
    assert len(questions.read_text().splitlines() if questions.exists() else []) == asked


# --- storing every Secret anew ---

LIST = '{"items": [{"kind": "Secret"}]}'
FAKE = """#!/bin/sh
folder=${0%/*}
case "$*" in
  "kubectl get --raw=/metrics"*) cat "$folder/metrics";;
  "kubectl get secrets --all-namespaces --output=json") echo '{LIST}';;
  "kubectl replace --output=name --filename=-")
    cat >>"$folder/stored"
    left=$(cat "$folder/conflicts" 2>/dev/null || echo 0)
    if [ "$left" -gt 0 ]; then echo $((left - 1)) >"$folder/conflicts"; echo 'secret/a'; exit 1; fi
    printf 'secret/a\nsecret/b\n';;
  *) exit 64;;
esac
"""


class Fleet:
    """Controllers of an inventory of which only names matter."""

    def __init__(self, folder: Path, keys: Keys) -> None:
        self.controllers: list[Any] = []
        for name in ("cp1", "cp2"):
            (folder / name).mkdir()
            one = Controller(folder / name)
            one.name = name
            (folder / name / "k0s").write_text(FAKE.replace("{LIST}", LIST))
            one.has(keys)
            one.goes_by(one.file)
            self.controllers.append(one)

    def host(self, name: str) -> Any:
        return next(one for one in self.controllers if one.name == name)

    def map(self, function, names, **_):
        return {name: function(self.host(name)) for name in names}


@pytest.mark.parametrize("conflicts", [0, 2])
def test_every_secret_is_stored_anew_and_every_controller_learns_it(tmp_path, conflicts):
    fleet: Any = Fleet(tmp_path, WRITTEN)
    (tmp_path / "cp1" / "conflicts").write_text(f"{conflicts}\n")
    assert rekeying.store_anew(WRITTEN, fleet, fleet) == 2
    assert (tmp_path / "cp1" / "stored").read_text() == LIST * (conflicts + 1)
    assert not (tmp_path / "cp2" / "stored").exists()
    assert [rekeying.look(one).stored_anew for one in fleet.controllers] == [NEW.mark] * 2


def test_secrets_that_change_all_the_time_are_not_called_stored(tmp_path):
    fleet: Any = Fleet(tmp_path, WRITTEN)
    (tmp_path / "cp1" / "conflicts").write_text("99\n")
    with pytest.raises(CommandFailed):
        rekeying.store_anew(WRITTEN, fleet, fleet)
    assert [rekeying.look(one).stored_anew for one in fleet.controllers] == ["", ""]


@pytest.mark.parametrize("late", [READ, ONE])
def test_nothing_is_stored_anew_while_one_writes_with_another_key(tmp_path, late):
    fleet: Any = Fleet(tmp_path, WRITTEN)
    fleet.host("cp2").has(late)
    with pytest.raises(UnsafeKeys, match="cp2: its API server does not write with the key slipway-2 yet"):
        rekeying.store_anew(WRITTEN, fleet, fleet)
    assert not (tmp_path / "cp1" / "stored").exists()
