"""What every command promises, whatever state it is called in: held by calling all of them in each.

No traceback and no internal error; an exit code of the table; `next:` at the end of every error; with `--json` one
document or nothing on standard output; no control sequence where nobody looks; no wait.
"""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from slipway.cli.main import main
from slipway.cli.reference import every_command
from slipway.errors import SlipwayError, exit_codes

ARGUMENTS = {
    "init": ["."],
    "discover": ["w1"],
    "hardware": ["w1"],
    "install": ["w1"],
    "resume": ["20260101T000000-deploy"],
    "completion": ["bash"],
    "inventory show": ["w1"],
    "import k0sctl": ["k0sctl.yaml"],
    "import ansible": ["hosts.ini"],
    "stages eject": ["gitea"],
    "app new": ["shop", "--image", "example.org/shop:1.0"],
    "runs show": ["2026"],
    "restore": ["backup.tar.gz.age"],
    "node remove": ["w1"],
    "node replace": ["w1"],
    "reset": ["w1"],
}
"""What a command has to be given; the others can be called without a word."""

REAL = {"lab demo", "lab up", "lab build", "lab down", "lab fault", "lab ssh", "lab init", "lab installer"}
"""These act on the machine that runs the tests: they are called with wrong words alone."""

FORMATS = {
    "schema": "is JSON",
    "completion": "is a script for a shell",
    "import k0sctl": "is an inventory",
    "import ansible": "is an inventory",
    "export ansible": "is an inventory of Ansible",
    "export ssh-config": "is a configuration of ssh",
    "export hosts": "is a hosts file",
    "stages graph": "is a picture, its format chosen by --format",
    "lab build": "is in the cache; only its progress is shown",
    "lab down": "is nothing any more; only its progress is shown",
    "lab installer": "is what comes next, for a person",
    "lab packages": "is words for apt-get",
    "lab demo": "runs other commands and shows what they print",
    "open": "is a page at an address that it says",
    "ssh": "is what the other machine prints",
    "lab ssh": "is what the other machine prints",
}
"""Commands whose result has a format of its own, so that `--json` would mean nothing."""


def leaves() -> dict[str, bool]:
    """Every command as typed, and whether it takes `--json`."""
    found = every_command()
    return {" ".join(words): any("--json" in each.opts for each in command.params) for words, command in found}


LEAVES = leaves()


@pytest.fixture
def call(monkeypatch, capfd) -> Callable[..., tuple[int, str, str]]:
    def run(command: str, *more: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["slipway", *command.split(), *ARGUMENTS.get(command, ()), *more])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        told = capfd.readouterr()
        return int(end.value.code or 0), told.out, told.err

    return run


def broken_promises(code: int, out: str, err: str, *, json_asked: bool) -> Iterator[str]:
    if "Traceback" in out + err or "bug report" in err or code == SlipwayError.exit_code:
        yield "an error of slipway's own"
    if code not in exit_codes():
        yield f"exit code {code} is in no table"
    if "\x1b" in out + err:
        yield "a control sequence"
    if "error:" in err and not err.rstrip().splitlines()[-1].startswith("next:"):
        yield "an error without a next step at its end"
    if code not in (0, 4, 7, 8, 9, 10) and "error:" not in err and not json_asked:
        yield "a failure without a word"
    if json_asked and out:
        try:
            json.loads(out)
        except ValueError:
            yield "--json printed something else than one document"


def empty(folder: Path) -> None:
    """Nothing there at all."""


def unreadable(folder: Path) -> None:
    """Root reads whatever has a mode, so it is a folder where a file should be."""
    (folder / "inventory.yaml").mkdir()
    (folder / "k0sctl.yaml").mkdir()
    (folder / "hosts.ini").mkdir()


def no_yaml(folder: Path) -> None:
    for name in ("inventory.yaml", "k0sctl.yaml", "hosts.ini"):
        (folder / name).write_text("hosts: [\n\x00\n")


def many_mistakes(folder: Path) -> None:
    (folder / "inventory.yaml").write_text("cluster: 3\nhosts: {w1: {adress: 192.0.2.1}, W!: []}\n")
    (folder / "k0sctl.yaml").write_text("kind: Pod\n")
    (folder / "hosts.ini").write_text("[a:children]\nb\n")


def good(folder: Path) -> None:
    """Its machine cannot be reached: nothing listens at that port of this one."""
    example = (Path(__file__).parents[3] / "examples" / "single" / "inventory.yaml").read_text()
    (folder / "inventory.yaml").write_text(example.replace("ssh:\n", "ssh:\n      address: 127.0.0.1\n      port: 1\n"))


def broken_records(folder: Path) -> None:
    good(folder)
    for name in ("records", "runs", "reports"):
        (folder / ".slipway" / name / "20260101T000000-deploy").mkdir(parents=True)
    for file in ("records/w1.json", "records/node1.json", "runs/20260101T000000-deploy/run.json", "gate.json"):
        (folder / ".slipway" / file).write_text('{"broken": ')
    (folder / "known_hosts").write_text("nonsense\n\x00\n")


def state_is_a_file(folder: Path) -> None:
    """What slipway wants to write cannot be written."""
    good(folder)
    for name in (".slipway", "generated", "gitops", "secrets"):
        (folder / name).write_text("")


STATES = (empty, unreadable, no_yaml, many_mistakes, good, broken_records, state_is_a_file)


@pytest.mark.parametrize("command", [each for each in LEAVES if each not in REAL])
@pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
def test_every_command_in_every_state(command, state, call, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    state(tmp_path / "work")
    for more in ([], ["--json"])[: 1 + LEAVES[command]]:
        told = call(command, *more)
        assert list(broken_promises(*told, json_asked=bool(more))) == [], "\n".join(map(str, told))


@pytest.mark.parametrize("command", LEAVES)
def test_wrong_words_are_wrong_usage(command, call):
    code, out, err = call(command, "--nope")
    assert code == 2
    assert out == ""
    assert err.splitlines()[-1] == f"next:  slipway {command} --help"


@pytest.mark.parametrize("command", [each for each in LEAVES if not LEAVES[each]])
def test_what_prints_a_result_has_json(command):
    assert command in FORMATS, f"{command} prints something of its own and takes no --json"


def test_what_takes_many_nodes_can_leave_some_out():
    for words, command in every_command():
        takes = any(each.nargs == -1 and each.metavar in ("NODE...", "HOST...") for each in command.params)
        assert takes == any("--exclude" in each.opts for each in command.params), " ".join(words)


def test_no_exception_is_left_over():
    assert {each for each in FORMATS if LEAVES[each]} == set()
    assert {*ARGUMENTS, *REAL, *FORMATS} <= set(LEAVES)


def environments() -> dict[str, dict[str, str | None]]:
    return {
        "no HOME": {"HOME": None, "XDG_CACHE_HOME": None, "XDG_STATE_HOME": None, "XDG_CONFIG_HOME": None},
        "LANG=C": {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0"},
        "NO_COLOR": {"NO_COLOR": "1", "TERM": "dumb"},
    }


@pytest.mark.parametrize("where", environments())
@pytest.mark.parametrize("command", ["check", "status", "doctor", "inventory list", "gate", "stages lint"])
def test_in_every_surrounding(command, where, tmp_path):
    good(tmp_path)
    ended = run_alone(command.split(), tmp_path, environments()[where])
    told = (ended.returncode, ended.stdout.decode(), ended.stderr.decode())
    assert list(broken_promises(*told, json_asked=False)) == [], "\n".join(map(str, told))


def run_alone(words: list[str], folder: Path, more: dict[str, str | None], **how) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, **more, "PYTHONPATH": os.pathsep.join(sys.path)}
    kept = {name: value for name, value in environment.items() if value is not None}
    argv = [sys.executable, "-m", "slipway.cli", *words]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **how}
    return subprocess.run(argv, cwd=folder, env=kept, stdin=subprocess.DEVNULL, timeout=60, check=False, **streams)


@contextmanager
def full_disk() -> Iterator[int]:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        yield full
    finally:
        os.close(full)


@pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("command", ["check", "status", "schema", "inventory list", "export hosts", "--help"])
def test_a_result_that_cannot_be_written_is_told(command, unbuffered, tmp_path):
    good(tmp_path)
    with full_disk() as full:
        ended = run_alone(command.split(), tmp_path, {"PYTHONUNBUFFERED": unbuffered}, stdout=full)
    err = ended.stderr.decode()
    assert ended.returncode == 3, err
    assert "No space left on device" in err
    assert err.splitlines()[-1].startswith("next:")


@pytest.mark.parametrize("command", ["check", "status", "schema", "inventory list", "export hosts"])
def test_a_reader_that_leaves_ends_nothing_with_an_error(command, tmp_path):
    good(tmp_path)
    read, write = os.pipe()
    os.close(read)
    ended = run_alone(command.split(), tmp_path, {}, stdout=write)
    os.close(write)
    assert ended.returncode in (0, 8, 9)
    assert b"error" not in ended.stderr


@pytest.mark.parametrize(
    ("told", "promise"),
    [
        ((1, "", "error: x\nnext:  y\n"), "an error of slipway's own"),
        ((3, "", "error: x\n"), "an error without a next step at its end"),
        ((3, "", ""), "a failure without a word"),
        ((77, "", "error: x\nnext:  y\n"), "exit code 77 is in no table"),
        ((0, "\x1b[1mx", ""), "a control sequence"),
    ],
)
def test_control_each_broken_promise_is_seen(told, promise):
    assert promise in list(broken_promises(*told, json_asked=False))


def test_control_two_documents_are_no_json():
    assert list(broken_promises(0, "{}\n{}\n", "", json_asked=True)) == [
        "--json printed something else than one document"
    ]
