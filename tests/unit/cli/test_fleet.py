"""Commands for nodes, against a real sshd that stands for several of them."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.unit.conftest import free_port

INVENTORY = """
apiVersion: slipway/v1
cluster: {{name: test, k0s: {{version: 1.36.3+k0s.2}}}}
defaults:
  ssh: {{user: {user}, identity: {identity}, port: {port}}}
  network: {{interface: eth0, prefixLength: 24}}
deploy: {{timeouts: {{connect: 5s}}}}
hosts:
  cp1: {{address: 10.0.0.11, role: controller, ssh: {{address: 127.0.0.1}}}}
  w1: {{address: 10.0.0.21, role: worker, ssh: {{address: '::1'}}}}
  w2: {{address: 10.0.0.22, role: worker, ssh: {{address: localhost}}, tags: [odd]}}
"""
DEAD = "  w3: {{address: 10.0.0.23, role: worker, ssh: {{address: 127.0.0.1, port: {port}}}}}\n"
PROGRAM = "import sys; from slipway.cli.start import main; sys.argv[0] = 'slipway'; main()"


@pytest.fixture
def repository(sshd, tmp_path) -> Path:
    values = {"user": sshd.endpoint.user, "identity": sshd.folder / "client", "port": sshd.port}
    (tmp_path / "inventory.yaml").write_text(INVENTORY.format(**values))
    pins = (sshd.folder / "known_hosts").read_text()
    (tmp_path / "known_hosts").write_text(pins.replace("[127.0.0.1]", f"[localhost]:{sshd.port},[127.0.0.1]"))
    return Path(tmp_path)


@pytest.fixture
def slipway(repository):
    def slipway(*words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-c", PROGRAM, *words]
        return subprocess.run(argv, capture_output=True, text=True, cwd=repository, check=False, timeout=60)

    return slipway


def dead(repository: Path, port: int) -> None:
    """One more worker, at a port where nobody answers."""
    inventory = repository / "inventory.yaml"
    inventory.write_text(inventory.read_text() + DEAD.format(port=port))


def test_equal_answers_are_shown_once(slipway):
    done = slipway("exec", "--", "echo", "one  word; and a quote'")
    assert done.stdout == "3 nodes (cp1 w1 w2): exit code 0\n    one  word; and a quote'\n", done.stderr
    assert done.returncode == 0


def test_one_word_is_a_line_for_the_shell(slipway):
    done = slipway("exec", "w1", "--", "echo a | tr a b; echo c >&2")
    assert done.stdout == "w1: exit code 0\n    b\n    stderr: c\n"


def test_nodes_are_chosen_and_left_out(slipway):
    assert "w1: exit code 0" in slipway("exec", "worker", "--exclude", "@odd", "--", "true").stdout


def test_an_option_after_the_dashes_is_the_command_s(slipway):
    assert "    --json --help\n" in slipway("exec", "w1", "--", "echo", "--json", "--help").stdout


def test_the_exit_code_is_the_command_s(slipway):
    assert slipway("exec", "--", "exit 7").returncode == 7


def test_the_exit_code_is_one_where_they_differ(slipway, sshd):
    """The shells of the three nodes take turns at a counter."""
    counter = sshd.folder / "counter"
    done = slipway("exec", "--parallel", "1", "--", f"echo >>{counter}; exit $(wc -l <{counter})")
    assert done.returncode == 1
    assert "w1: exit code 2" in done.stdout


def test_a_node_that_is_not_reached_has_an_exit_code_and_ends_nobody_else(slipway, repository):
    dead(repository, free_port())
    done = slipway("exec", "--", "echo", "in")
    assert done.returncode == 5
    assert "3 nodes (cp1 w1 w2): exit code 0\n    in\nw3: connection refused\n" in done.stdout
    assert "slipway exec w3" in done.stderr


def test_nodes_without_a_pinned_key_are_told_once_with_the_step_that_lets_in_all(slipway, repository):
    (repository / "known_hosts").write_text("")
    done = slipway("exec", "--", "echo", "in")
    assert done.returncode == 5
    assert "3 nodes (cp1 w1 w2): no host key is pinned in known_hosts; the machine shows " in done.stdout
    assert done.stderr.endswith("error: not reached: cp1 w1 w2\nnext:  slipway trust cp1 w1 w2\n")


def test_json_is_one_document(slipway, repository):
    dead(repository, free_port())
    nodes = json.loads(slipway("exec", "--json", "--", "echo in; echo err >&2").stdout)["nodes"]
    assert nodes["w1"] == {"exitCode": 0, "stdout": "in\n", "stderr": "err\n", "error": None}
    assert nodes["w3"]["exitCode"] is None and nodes["w3"]["error"] == "connection refused"


def test_what_moves_a_cursor_is_shown_and_not_sent(slipway):
    done = slipway("exec", "w1", "--", "printf '\\033]0;title\\007\\033[2Jerror: forged\\n'")
    assert "\x1b" not in done.stdout
    assert "\n    \\x1b]0;title\\x07\\x1b[2Jerror: forged\n" in done.stdout


def test_who_says_too_much_is_ended_and_the_others_are_heard(slipway, sshd):
    flag = sshd.folder / "talks"
    line = f"mkdir {flag} 2>/dev/null && exec yes; echo short"
    done = slipway("exec", "w1", "w2", "--parallel", "1", "--", line)
    assert "w1: sh -c" in done.stdout or "w1: " in done.stdout
    assert "more than 256 KiB of output" in done.stdout
    assert "w2: exit code 0\n    short\n" in done.stdout
    assert done.returncode == 1


def test_a_command_that_does_not_end_is_named(slipway):
    done = slipway("exec", "w1", "--timeout", "0.5", "--", "sleep", "60")
    assert "w1: sleep 60: no end after 0.5 s" in done.stdout
    assert "--timeout" in done.stderr


def test_without_a_command_the_right_line_is_told(slipway):
    done = slipway("exec", "w1")
    assert done.returncode == 2
    assert "slipway exec -- uptime" in done.stderr


def interrupted(repository: Path, words: list[str], after: str = "", delay: float = 0.0) -> tuple[int, str, float]:
    """Exit code, standard error, and seconds from Ctrl-C to the end."""
    argv = [sys.executable, "-c", PROGRAM, *words]
    with subprocess.Popen(argv, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        if after:
            end = time.monotonic() + 60
            while not Path(after).exists():
                assert time.monotonic() < end, "the command did not begin"
                time.sleep(0.02)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        _, err = process.communicate(timeout=400)
    return process.returncode, err, time.monotonic() - began


def test_ctrl_c_shows_what_there_is_and_does_not_wait_for_the_rest(repository, tmp_path):
    began = tmp_path / "began"
    words = ["exec", "w1", "--", f"touch {began}; sleep 300"]
    code, err, took = interrupted(repository, words, after=str(began))
    assert (code, took < 60) == (130, True)
    assert "no answer of w1" in err


def test_ctrl_c_while_a_machine_is_silent(repository, tmp_path):
    """A port that accepts and says nothing: the handshake alone would be waited for."""
    import socket

    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        dead(repository, silent.getsockname()[1])
        inventory = repository / "inventory.yaml"
        inventory.write_text(inventory.read_text().replace("connect: 5s", "connect: 150s"))
        argv = [sys.executable, "-c", PROGRAM, "exec", "w3", "--", "true"]
        with subprocess.Popen(argv, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            assert select.select([silent], [], [], 60)[0]
            time.sleep(0.1)
            process.send_signal(signal.SIGINT)
            began = time.monotonic()
            _, err = process.communicate(timeout=400)
    assert (process.returncode, time.monotonic() - began < 60) == (130, True)
    assert b"no answer of w3" in err


INTERRUPTED = """
import builtins, os, signal
real = builtins.__import__

def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
    [None for _ in range(1000)]

def like_pydantic(name, *rest, **more):
    if name == "slipway.inventory":
        try:
            interrupt()
        except KeyboardInterrupt:
            raise ValueError("Error building a validator") from None
    return real(name, *rest, **more)
"""
"""Where a library takes an interruption for an error of its own, and where nobody waits for one any more."""


@pytest.mark.parametrize(
    ("when", "ignored", "code"),
    [
        ("builtins.__import__ = like_pydantic", False, 130),
        ("from slipway.cli import main as m; m._tell = lambda *_: interrupt()", False, 130),
        ("builtins.__import__ = like_pydantic", True, 3),
    ],
    ids=["while it is imported", "while it tells its error", "where interruptions are ignored"],
)
def test_ctrl_c_at_odd_moments(tmp_path, when, ignored, code):
    argv = [sys.executable, "-c", f"{INTERRUPTED}{when}\n{PROGRAM}", "check"]
    ignore = (lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)) if ignored else None
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, preexec_fn=ignore)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert ("error: interrupted" in done.stderr) != ignored


@pytest.mark.parametrize("delay", [0.0, 0.05, 0.2, 0.5])
def test_ctrl_c_in_the_first_second_shows_no_traceback(repository, tmp_path, delay):
    """While Python imports as well: the file is touched when the first line of the program has been run."""
    began = tmp_path / "python"
    program = PROGRAM.replace("main()", f"open({str(began)!r}, 'w').close(); main()")
    argv = [sys.executable, "-c", program, "exec", "w1", "--", "sleep", "30"]
    with subprocess.Popen(argv, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        while not began.exists():
            time.sleep(0.005)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=400)
    assert process.returncode == 130, err
    assert "Traceback" not in err


def test_ssh_is_the_real_one_with_our_pins(slipway):
    done = slipway("ssh", "w1", "--", "echo", "a  b", "$HOME")
    assert (done.stdout, done.returncode) == ("a  b $HOME\n", 0), done.stderr
    assert slipway("ssh", "w1", "--", "exit 9").returncode == 9
    assert slipway("ssh", "w1", "--", "sh", "-c", "echo a\necho b").stdout == "a\nb\n"


def test_ssh_refuses_another_host_key(slipway, repository, sshd):
    name = f"[::1]:{sshd.port}"
    (repository / "known_hosts").write_text(f"{name} {(sshd.folder / 'client.pub').read_text()}")
    done = slipway("ssh", "w1", "--", "true")
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_ssh_needs_one_node(slipway):
    done = slipway("ssh", "w*", "--", "true")
    assert done.returncode == 2
    assert "w* is 2 nodes: w1 w2" in done.stderr


def test_a_login_has_a_terminal(repository):
    """What a person types reaches the shell of the node."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(repository)
        os.execv(sys.executable, [sys.executable, "-c", PROGRAM, "ssh", "w1"])
    os.write(terminal, b"tty && echo it-$((40+2)); exit 5\n")
    said = b""
    try:
        while b"it-42" not in said and select.select([terminal], [], [], 20)[0]:
            said += os.read(terminal, 4096)
    except OSError:
        pass
    _, status = os.waitpid(pid, 0)
    assert b"/dev/pts/" in said and b"it-42" in said
    assert os.waitstatus_to_exitcode(status) == 5


JOURNAL = """#!/bin/sh
echo "$@" >>{folder}/asked
case "$*" in *nonsense*) echo "Failed to parse timestamp: nonsense" >&2; exit 1;; esac
case "$*" in *after-cursor*) [ -e {folder}/later ] || exit 0; number=2;; *) number=1;; esac
echo '{{"__REALTIME_TIMESTAMP":"1700000000123456","_SYSTEMD_UNIT":"k0s.service","MESSAGE":"entry '$number'"}}'
echo '{{"__REALTIME_TIMESTAMP":"1700000001000000","UNIT":"k0s.service","MESSAGE":[27,91,50,74,104,105]}}'
echo "-- cursor: s=abc;i=$number"
"""


@pytest.fixture
def journal(sshd):
    """A stand-in for journalctl on the node."""
    program = sshd.folder / "bin" / "journalctl"
    program.write_text(JOURNAL.format(folder=sshd.folder))
    program.chmod(0o755)
    yield sshd.folder
    for name in ("asked", "later", "bin/journalctl"):
        (sshd.folder / name).unlink(missing_ok=True)


def test_logs_are_of_k0s_unless_others_are_asked_for(slipway, journal):
    done = slipway("logs", "w1")
    assert done.stdout == "2023-11-14T22:13:20.123Z k0s: entry 1\n2023-11-14T22:13:21.000Z k0s: \\x1b[2Jhi\n"
    slipway("logs", "w1", "-u", "sshd", "-u", "chronyd", "--since", "today", "-n", "5")
    asked = (journal / "asked").read_text().splitlines()
    assert "--unit=k0s.service --lines=100" in asked[0]
    assert "--unit=sshd --unit=chronyd --lines=5 --since=today" in asked[1]


def test_logs_as_json_are_an_object_a_line(slipway, journal):
    lines = [json.loads(line) for line in slipway("logs", "w1", "--json").stdout.splitlines()]
    assert lines[0] == {"time": "2023-11-14T22:13:20.123456+00:00", "unit": "k0s.service", "message": "entry 1"}


def test_a_time_that_is_none_is_a_mistake_of_the_caller(slipway, journal):
    done = slipway("logs", "w1", "--since", "nonsense")
    assert done.returncode == 2
    assert "--since nonsense" in done.stderr


def test_logs_are_followed_until_ctrl_c(repository, journal):
    argv = [sys.executable, "-c", PROGRAM, "logs", "w1", "--follow"]
    with subprocess.Popen(argv, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert "entry 1" in process.stdout.readline()
        (journal / "later").touch()
        lines = [process.stdout.readline() for _ in range(2)]
        assert "entry 2" in lines[1]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 130
    assert "--after-cursor=s=abc;i=1" in (journal / "asked").read_text()
