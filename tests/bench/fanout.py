"""`make bench-fanout`: connect to 50 addresses and run one command on each, beside pyinfra and ansible.

All are whole processes as a user starts them, in turns, against the same sshd, with as many machines at a time as there
are. The peers live in an environment of the bench's own (peers.txt). The last line is one JSON object; figures are
medians. Whatever else runs on the machine takes its part, from all of them.

Ansible is there twice: as somebody types it (`ansible all -a 'echo in'`), which brings a module to each machine and has
Python run it there, and with `-m raw`, which sends the bare command as slipway does and is the hardest to beat.

slipway and pyinfra both log in with paramiko, and the server takes its part of the same processors, some 9 ms for each
login with its session. What nobody who uses paramiko can go below is measured beside them (bare.py). In processor time,
which other work on the machine disturbs least, medians on two busy cores were 0.49 s for paramiko alone, 0.57 s for
slipway, 1.00 s for pyinfra, 3.8 s for Ansible's raw module and 6.0 s for its default one. Most of what is slipway's own
is the inventory's model, which Python makes before anybody is asked; that takes as long for 500 machines as for one.
Fifty logins are 0.2 s of it: several processes would save a part of those, and cost their own start.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.machines import Machines, Measured, address, machines, measure, require, slipway

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
COUNT, MANY = 50, 500
PEERS = Path(os.environ.get("BENCH_PEERS", Path(__file__).parents[2] / ".bench-peers"))
WANTED = Path(__file__).parent / "peers.txt"
BARS = {"pyinfra": 1.4, "ansible": 8.0, "ansible_raw": None}
"""How many times as long a peer is to take; None where it is told for comparison alone."""
MEMORY, DESCRIPTORS = 150, 1024


def install_peers() -> None:
    """Once, and again where other versions are wanted."""
    stamp = PEERS / "installed"
    if stamp.exists() and stamp.read_text() == WANTED.read_text():
        return
    print(f"installing the peers into {PEERS}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", PEERS], check=True)
    pip: list[str | Path] = [PEERS / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "--requirement", WANTED], check=True)
    stamp.write_text(WANTED.read_text())


def ours(made: Machines) -> Measured:
    words = slipway("exec", "--parallel", str(COUNT), "--json", "--", "echo in")
    done = require(measure(words, made.root, descriptors=DESCRIPTORS), words)
    answers = [node["stdout"] for node in json.loads(done.said)["nodes"].values()]
    if answers != ["in\n"] * made.count:
        sys.exit(f"not all answered: {answers}")
    return done


def pyinfra(made: Machines) -> Measured:
    config = made.root / "peer_inventory.py"
    common = {
        "ssh_user": made.user,
        "ssh_port": made.port,
        "ssh_key": str(made.keys / "client"),
        "ssh_forward_agent": False,
    }
    known = {"ssh_known_hosts_file": str(made.root / "known_hosts"), "ssh_strict_host_key_checking": "yes"}
    hosts = [(address(number), {**common, **known}) for number in range(made.count)]
    config.write_text(f"machines = {hosts!r}\n")
    words: list[str | Path] = [
        PEERS / "bin" / "pyinfra",
        "-y",
        "--parallel",
        str(made.count),
        config,
        "exec",
        "--",
        "echo in",
    ]
    done = require(measure(words, made.root), words)
    if not re.search(rf"Grand total +{made.count} +{made.count} ", done.said):
        sys.exit(f"not all answered pyinfra:\n{done.said[-2000:]}")
    return done


def paramiko(made: Machines) -> Measured:
    """The floor, no peer."""
    addresses = [address(number) for number in range(made.count)]
    bare = Path(__file__).with_name("bare.py")
    words: list[str | Path] = [sys.executable, bare, str(made.port), made.user, made.keys / "client", *addresses]
    done = require(measure(words, made.root), words)
    if done.said != "in\n" * made.count:
        sys.exit(f"not all answered paramiko:\n{done.said[-2000:]}")
    return done


def ansible(made: Machines) -> Measured:
    """Its several steps on a machine share a connection, as they do by default; the next round begins with none."""
    sockets = tempfile.mkdtemp(prefix="c", dir=made.root)
    shared = f"-o ControlMaster=auto -o ControlPersist=5s -o ControlPath={sockets}/%C"
    return _ansible(made, shared, "--args", "echo in")


def ansible_raw(made: Machines) -> Measured:
    return _ansible(made, "-o ControlMaster=no -o ControlPath=none", "--module-name", "raw", "--args", "echo in")


def _ansible(made: Machines, connections: str, *what: str) -> Measured:
    how = (
        f"ansible_user={made.user} ansible_port={made.port} ansible_ssh_private_key_file={made.keys}/client "
        f"ansible_python_interpreter={sys.executable} ansible_remote_tmp={made.root}/remote"
    )
    lines = [f"{address(number)} {how}\n" for number in range(made.count)]
    (made.root / "hosts.ini").write_text("".join(lines))
    words: list[str | Path] = [
        PEERS / "bin" / "ansible",
        "all",
        "-i",
        "hosts.ini",
        "-f",
        str(made.count),
        *what,
    ]
    known = f"-o UserKnownHostsFile={made.root}/known_hosts -F /dev/null {connections}"
    settings = {"ANSIBLE_SSH_ARGS": known, "ANSIBLE_HOME": str(made.root / "ansible"), "ANSIBLE_NOCOLOR": "1"}
    done = require(measure(words, made.root, settings=settings), words)
    if done.said.count("\nin\n") < made.count:
        sys.exit(f"not all answered ansible:\n{done.said[-2000:]}")
    return done


def main() -> None:
    install_peers()
    contenders = {
        "slipway": ours,
        "pyinfra": pyinfra,
        "ansible": ansible,
        "ansible_raw": ansible_raw,
        "paramiko": paramiko,
    }
    taken: dict[str, list[Measured]] = {name: [] for name in contenders}
    with machines(COUNT) as made:
        for number in range(ROUNDS):
            for name, run in contenders.items():
                taken[name].append(one := run(made))
                print(f"round {number + 1} of {ROUNDS}: {name} {one.seconds:.2f} s", file=sys.stderr, flush=True)
    with machines(MANY) as made:
        large = ours(made)
    seconds = {name: statistics.median(run.seconds for run in runs) for name, runs in taken.items()}
    cpu = {name: statistics.median(run.cpu for run in runs) for name, runs in taken.items()}
    report(seconds, cpu, large)


def report(seconds: dict[str, float], cpu: dict[str, float], large: Measured) -> None:
    ratios = {name: seconds[name] / seconds["slipway"] for name in BARS}
    print(f"slipway: {seconds['slipway']:.2f} s, {cpu['slipway']:.2f} s of processor time")
    for name, ratio in ratios.items():
        bar = f" (bar {BARS[name]})" if BARS[name] else ""
        told = f"{ratio:.1f} times slipway's{bar}; {cpu[name]:.2f} s of processor time"
        print(f"{name}: {seconds[name]:.2f} s, {told}")
    print(f"paramiko alone, the floor: {seconds['paramiko']:.2f} s, {cpu['paramiko']:.2f} s of processor time")
    print(
        f"{MANY} machines at once: {large.seconds:.1f} s, {large.memory:.0f} MB (bar {MEMORY}), "
        f"{large.descriptors} descriptors (bar {DESCRIPTORS})"
    )
    figures = {
        **{f"{name}_{COUNT}_s": round(each, 3) for name, each in seconds.items()},
        **{f"{name}_{COUNT}_cpu_s": round(each, 3) for name, each in cpu.items()},
        f"slipway_{MANY}_s": round(large.seconds, 3),
        f"slipway_{MANY}_mb": round(large.memory),
        f"slipway_{MANY}_descriptors": large.descriptors,
    }
    cores = len(os.sched_getaffinity(0))
    print(f"{cores} cores, load average {os.getloadavg()[0]:.1f}")
    rounded = {name: round(ratio, 2) for name, ratio in ratios.items()}
    print(json.dumps({"bench": "fanout", "cores": cores, "figures": figures, "ratios": rounded}))


if __name__ == "__main__":
    main()
