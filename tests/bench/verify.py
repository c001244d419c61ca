"""`make bench-verify`: `slipway verify` on many addresses of one real sshd, beside pytest-testinfra's paramiko backend.

Both are whole processes as a user starts them, in turns, on the same checks in one file of testinfra's kind. The hosts
are addresses of loopback, and a stand-in for readlink in the server's PATH names a system: only slipway asks for that.
The lab's six nodes come last, with the default packs, where this may make a lab (root). The last line is one JSON
object; figures are medians, `peak_mb` is slipway's with its children, and what they share is counted once. The server
takes its part of the same processors, and so does whatever else runs.
"""

from __future__ import annotations

import json
import os
import shlex
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.machines import with_bytecode
from tests.unit.conftest import SSHD, free_port, make_keys

PYTHON = Path(__file__).parents[2] / "python"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
LAB = os.environ.get("SLIPWAY_LAB", "9")
"""The lab that is made and taken away: one of the numbers that are the tests' own."""
FEW, MANY = (20, 20), (100, 100)
"""Hosts and checks a host."""

CONFIG = """
ListenAddress 0.0.0.0:{port}
HostKey {folder}/host_ed25519
AuthorizedKeysFile {folder}/client.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
MaxStartups 400
SetEnv PATH={folder}/bin:{path} SHLVL=1
"""
READLINK = """#!/bin/sh
case "$*" in
  *current-system|*profiles/system) echo /nix/store/bench ;;
  *) exec /usr/bin/readlink "$@" ;;
esac
"""
CHECKS = """
import pytest


@pytest.mark.parametrize("number", range({checks}))
def test_file(host, number):
    assert host.file(("/etc/passwd", "/etc/group", "/etc", "/proc")[number % 4]).exists
"""
HEAD = """\
apiVersion: slipway/v1
cluster:
  name: bench
  k0s: {{version: 1.36.3+k0s.2}}
defaults:
  ssh: {{user: {user}, port: {port}, identity: {folder}/client, authorizedKeys: [{key}]}}
  network: {{interface: eth0, prefixLength: 16, nameservers: [127.0.0.1]}}
hosts:
"""


def address(number: int) -> str:
    """Where a host is reached; `address` in the inventory may not be loopback's."""
    return f"127.9.{number // 250}.{number % 250 + 1}"


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """A real sshd on a free port of every address of this machine."""
    make_keys(folder)
    link = folder / "bin" / "readlink"
    link.write_text(READLINK)
    link.chmod(0o755)
    port = free_port()
    (folder / "config").write_text(CONFIG.format(port=port, folder=folder, path=os.environ["PATH"]))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    assert SSHD
    process = subprocess.Popen([SSHD, "-D", "-E", str(folder / "log"), "-f", str(folder / "config")])
    try:
        _wait_for(port)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"sshd does not answer on port {port}")


def repository(folder: Path, keys: Path, port: int, size: tuple[int, int]) -> Path:
    """An inventory, pinned keys, and a pack of so many checks."""
    hosts, checks = size
    root = folder / f"h{hosts}-c{checks}"
    (root / "verify").mkdir(parents=True)
    (root / "verify" / "test_bench.py").write_text(CHECKS.format(checks=checks))
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    key = (keys / "client.pub").read_text().strip()
    lines = [HEAD.format(user=user, port=port, folder=keys, key=key)]
    lines += [
        f"  w{number}: {{address: 10.77.{number // 250}.{number % 250 + 1},"
        f" role: {'worker' if number else 'controller'}, ssh: {{address: {address(number)}}}}}\n"
        for number in range(hosts)
    ]
    (root / "inventory.yaml").write_text("".join(lines))
    pin = " ".join((keys / "host_ed25519.pub").read_text().split()[:2])
    (root / "known_hosts").write_text("".join(f"[{address(n)}]:{port} {pin}\n" for n in range(hosts)))
    (root / "ssh_config").write_text(
        f"Host *\n  StrictHostKeyChecking no\n  User {user}\n  Port {port}\n  IdentityFile {keys}/client\n"
    )
    return root


def slipway(root: Path) -> tuple[list[str], Path]:
    words = [sys.executable, "-m", "slipway.cli", "verify", "--pack", "user", "--json"]
    return words, root


def testinfra(root: Path, hosts: int) -> tuple[list[str], Path]:
    names = ",".join(address(number) for number in range(hosts))
    plain = ["-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", str(root)]
    peer = ["--connection=paramiko", f"--hosts={names}", f"--ssh-config={root}/ssh_config"]
    return [sys.executable, "-m", "pytest", *plain, *peer, "verify/test_bench.py"], root


def measure(words: Sequence[str], root: Path) -> tuple[float, float, str]:
    """(seconds by the clock, peak memory in MB with all children, what it said). Ends the run if it fails."""
    peak: list[float] = [0.0]
    began = time.monotonic()
    ours = {"PYTHONPATH": str(PYTHON), "XDG_STATE_HOME": str(root / "state"), **with_bytecode(root.parent)}
    env = {**os.environ, **ours}
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(words, cwd=root, env=env, stdout=out, stderr=subprocess.STDOUT)
        watcher = threading.Thread(target=_watch, args=(process, peak))
        watcher.start()
        status = process.wait()
        took = time.monotonic() - began
        watcher.join()
        out.seek(0)
        said = out.read()
    if status != 0:
        sys.exit(f"{shlex.join(words)} ended with {status}:\n{said[-3000:]}")
    return took, peak[0], said


def _watch(process: subprocess.Popen[bytes], peak: list[float]) -> None:
    """Proportional set size: what forked children share is counted once."""
    while process.poll() is None:
        peak[0] = max(peak[0], sum(map(_pss, _tree(process.pid))))
        time.sleep(0.1)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    with_children = Path(f"/proc/{pid}/task")
    try:
        children = [word for task in with_children.iterdir() for word in (task / "children").read_text().split()]
    except OSError:
        return
    for child in children:
        yield from _tree(int(child))


def _pss(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) * 1024 / 1e6 for line in text.splitlines() if line.startswith("Pss:")), 0.0)


def passed(said: str) -> int:
    """How many checks passed in slipway's JSON: a run that asked nothing would be fast."""
    found = json.loads(said[said.index("{") :])
    return sum(pack["passed"] for node in found["nodes"] for pack in node["packs"].values())


SIX = ("--controllers", "3", "--workers", "3")


def six_nodes(folder: Path) -> list[float]:
    """Seconds of the full default packs on the lab's six nodes, each time a whole command; none without root."""
    if os.geteuid() != 0:
        return []
    root, env = folder / "lab", {**os.environ, "PYTHONPATH": str(PYTHON), "SLIPWAY_LAB": LAB}

    def run(*words: str, at: Path = folder) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "slipway.cli", *words], check=False, cwd=at, env=env, capture_output=True, text=True
        )
        if ran.returncode != 0:
            sys.exit(f"slipway {shlex.join(words)} ended with {ran.returncode}:\n{(ran.stdout + ran.stderr)[-3000:]}")
        return ran.stdout

    try:
        run("lab", "up", *SIX)
        run("lab", "init", str(root))
        run("generate", at=root)
        run("deploy", at=root)
        return [_timed(lambda: run("verify", "--json", at=root)) for _ in range(ROUNDS)]
    finally:
        run("lab", "down")


def _timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def main() -> None:
    ours: list[float] = []
    peers: list[float] = []
    large: list[float] = []
    peaks: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name, server(_made(Path(name) / "sshd")) as port:
        keys = Path(name) / "sshd"
        few, many = (repository(Path(name), keys, port, size) for size in (FEW, MANY))
        for number in range(ROUNDS):
            print(f"round {number + 1} of {ROUNDS}", file=sys.stderr, flush=True)
            for root, size, taken in ((few, FEW, ours), (many, MANY, large)):
                took, peak, said = measure(*slipway(root))
                if passed(said) != size[0] * size[1]:
                    sys.exit(f"{passed(said)} checks passed in {root.name}, not {size[0] * size[1]}")
                taken.append(took)
                peaks.append(peak)
            took, _, said = measure(*testinfra(few, FEW[0]))
            if f"{FEW[0] * FEW[1]} passed" not in said:
                sys.exit(f"testinfra asked something else:\n{said[-2000:]}")
            peers.append(took)
        six = six_nodes(Path(name))
    mine, peer = statistics.median(ours), statistics.median(peers)
    print(f"20 hosts x 20 checks: slipway {mine:.2f} s, testinfra by paramiko {peer:.2f} s")
    print(f"100 hosts x 100 checks: {statistics.median(large):.2f} s (bar 15), peak {max(peaks):.0f} MB (bar 200)")
    figures = {
        "h20_c20_s": round(mine, 3),
        "testinfra_paramiko_h20_c20_s": round(peer, 3),
        "h100_c100_s": round(statistics.median(large), 3),
        "peak_mb": round(max(peaks)),
    }
    if six:
        print(f"default packs on the lab's six nodes: {statistics.median(six):.2f} s (bar 20)")
        figures["packs_6_s"] = round(statistics.median(six), 3)
    ratios = {"testinfra_paramiko": round(peer / mine, 1)}
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, load average {os.getloadavg()[0]:.1f}")
    print(json.dumps({"bench": "verify", "cores": cores, "figures": figures, "ratios": ratios}))


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    main()
