"""Machines for benchmarks: addresses of loopback that one real sshd serves, each under a name of its own.

What a node would say of itself (its name, its system) stand-ins in the server's PATH say; everything else is real.
Real machines have processors of their own and these share ours, so what only the server does is made cheap: it does not
start itself anew for each connection, its keys are of a kind that OpenSSL has fast code for, its login shell is a
small one, and the stand-ins start no programs.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from tests.unit.conftest import SSHD, free_port, stand_in_for_sudo, wait_for_port
from tests.unit.conftest import Sshd as Server

PYTHON = Path(__file__).parents[2] / "python"

CONFIG = """
ListenAddress 0.0.0.0:{port}
HostKey {folder}/host
KexAlgorithms ecdh-sha2-nistp256
AuthorizedKeysFile {folder}/client.pub
PidFile none
UsePAM no
StrictModes no
PermitRootLogin yes
MaxStartups 1000
UseDNS no
PrintLastLog no
LogLevel ERROR
Subsystem sftp internal-sftp
SetEnv PATH={folder}/bin:{path} SHLVL=1
"""
# The address that was connected to says which machine is meant.
CAT = """#!/bin/sh
case "$1" in
  /proc/sys/kernel/hostname) set -- $SSH_CONNECTION; read -r name <{folder}/names/$3; echo "$name" ;;
  *) exec /bin/cat "$@" ;;
esac
"""
READLINK = """#!/bin/sh
case "$*" in
  */run/current-system*|*/profiles/system*)
    set -- $SSH_CONNECTION "$@"; read -r name <{folder}/names/$3; shift 4
    for link; do
      case "$link" in -*) ;; /) echo / ;; *) echo "{systems}/$name" ;; esac
    done ;;
  *) exec /usr/bin/readlink "$@" ;;
esac
"""
NIX = """#!/bin/sh
# Stands for Nix: every system is built already.
case "$*" in
  *" build "*) exec cat {root}/built.json ;;
  *" --add-root "*)
    while [ "$1" != --realise ]; do shift; done
    shift; systems=; number=1
    while [ "$1" != --add-root ]; do systems="$systems $1"; shift; done
    for system in $systems; do
      ln -sfn "$system" "$2$suffix"; number=$((number + 1)); suffix=-$number
    done ;;
esac
"""
# The server sees a /run of its own, where systemd runs; locks that are laid there are nobody else's. It sees users with
# another shell.
OWN_RUN = """
mount -t tmpfs none /run && mkdir -p /run/systemd/system /run/sshd && mount --bind "$0" /etc/passwd && exec "$@"
"""
HEAD = """\
apiVersion: slipway/v1
cluster:
  name: bench
  k0s: {{version: 1.36.3+k0s.2, encryptSecrets: false}}
  network: {{provider: kuberouter, podCIDR: 10.128.0.0/10, serviceCIDR: 172.20.0.0/16}}
defaults:
  ssh: {{user: {user}, port: {port}, identity: {folder}/client, authorizedKeys: [{key}]}}
  network: {{interface: eth0, prefixLength: 16, nameservers: [127.0.0.1]}}
deploy: {{parallel: 50}}
hosts:
"""


def address(number: int) -> str:
    """Where a machine is reached; `address` in the inventory may not be loopback's."""
    return f"127.9.{number // 250}.{number % 250 + 1}"


@dataclass(frozen=True)
class Machines:
    """So many machines behind one server, and the repository that names them."""

    count: int
    port: int
    keys: Path
    root: Path

    @property
    def user(self) -> str:
        return subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()

    @property
    def systems(self) -> Path:
        """What stands for the store: a folder per machine."""
        return self.root / "systems"

    @property
    def names(self) -> list[str]:
        return [f"w{number}" if number else "cp0" for number in range(self.count)]


@contextmanager
def machines(count: int) -> Iterator[Machines]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        keys, root = Path(name) / "sshd", Path(name) / "repository"
        keys.mkdir()
        root.mkdir()
        _make_keys(keys)
        made = Machines(count, free_port(), keys, root)
        _stand_ins(made)
        _write_repository(made)
        with _server(made):
            yield made


def _make_keys(folder: Path) -> None:
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", str(folder / name)], check=True)
    stand_in_for_sudo(folder)


@contextmanager
def _server(made: Machines) -> Iterator[None]:
    config = made.keys / "config"
    config.write_text(CONFIG.format(port=made.port, folder=made.keys, path=os.environ["PATH"]))
    assert SSHD
    log = made.keys / "log"
    own = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    users = made.keys / "passwd"
    users.write_text(Path("/etc/passwd").read_text().replace(":/bin/bash\n", ":/bin/sh\n"))
    server = [SSHD, "-r", "-D", "-E", str(log), "-f", str(config)]
    process = subprocess.Popen([*own, "sh", "-c", OWN_RUN, str(users), *server])
    try:
        wait_for_port(Server(process.pid, made.port, made.keys, log, ""))
        yield
    finally:
        process.terminate()
        process.wait(10)


def _stand_ins(made: Machines) -> None:
    (made.keys / "names").mkdir()
    for number, name in enumerate(made.names):
        (made.keys / "names" / address(number)).write_text(f"{name}\n")
    programs = {"cat": CAT, "readlink": READLINK, "nix-daemon": "#!/bin/sh\n", "nix-env": "#!/bin/sh\n"}
    for name, text in programs.items():
        program = made.keys / "bin" / name
        program.write_text(text.format(folder=made.keys, systems=made.systems))
        program.chmod(0o755)
    (made.root / "bin").mkdir()
    for name in ("nix", "nix-store"):
        (made.root / "bin" / name).write_text(NIX.format(root=made.root))
        (made.root / "bin" / name).chmod(0o755)


def _write_repository(made: Machines) -> None:
    key = (made.keys / "client.pub").read_text().strip()
    lines = [HEAD.format(user=made.user, port=made.port, folder=made.keys, key=key)]
    lines += [
        f"  {name}: {{address: 10.77.{number // 250}.{number % 250 + 1},"
        f" role: {'worker' if number else 'controller'}, ssh: {{address: {address(number)}}}}}\n"
        for number, name in enumerate(made.names)
    ]
    (made.root / "inventory.yaml").write_text("".join(lines))
    for name in made.names:
        (made.systems / name / "etc").mkdir(parents=True)
        (made.systems / name / "etc" / "hostname").write_text(f"{name}\n")
    built = [{"outputs": {"out": str(made.systems / name)}} for name in made.names]
    (made.root / "built.json").write_text(json.dumps(built))
    pin = " ".join((made.keys / "host.pub").read_text().split()[:2])
    (made.root / "known_hosts").write_text(
        "".join(f"[{address(number)}]:{made.port} {pin}\n" for number in range(made.count))
    )


@dataclass(frozen=True)
class Measured:
    """A whole process: seconds by the clock and of processor time, its largest resident memory in MB, the most file
    descriptors that it had, its exit code and what it said."""

    seconds: float
    cpu: float
    memory: float
    descriptors: int
    code: int
    said: str


def with_bytecode(folder: Path) -> dict[str, str]:
    """For the environment of a whole process. A program that is installed has its bytecode beside it, whatever this
    shell's Python may write; here it comes with the first run, which is for warming up."""
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(folder / "bytecode")}


def measure(
    words: Sequence[str | Path],
    root: Path,
    *,
    descriptors: int | None = None,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Measured:
    """`descriptors`: the process may have so many at most; `settings` for its environment."""

    def limit() -> None:
        if descriptors is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

    path = f"{root / 'bin'}:{os.environ['PATH']}"
    ours = {"PATH": path, "PYTHONPATH": str(PYTHON), "XDG_STATE_HOME": str(root / "state"), **with_bytecode(root)}
    most = [0]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as out:
        process = subprocess.Popen(
            list(map(str, words)),
            cwd=root,
            env={**os.environ, **ours, **settings},
            stdout=out,
            stderr=subprocess.STDOUT,
            preexec_fn=limit,
        )
        watcher = threading.Thread(target=_watch, args=(process.pid, most))
        watcher.start()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        took = time.monotonic() - began
        watcher.join()
        out.seek(0)
        said = out.read()
    cpu = usage.ru_utime + usage.ru_stime
    return Measured(took, cpu, usage.ru_maxrss / 1000, most[0], process.returncode, said)


def _watch(pid: int, most: list[int]) -> None:
    """A process that has ended and was not waited for has no descriptors any more."""
    while True:
        try:
            most[0] = max(most[0], len(os.listdir(f"/proc/{pid}/fd")))  # noqa: PTH208 (names alone, often)
        except OSError:
            return
        time.sleep(0.05)


def slipway(*words: str) -> list[str]:
    return [sys.executable, "-m", "slipway.cli", *words]


def require(measured: Measured, words: Sequence[str | Path], *, code: int = 0, says: str = "") -> Measured:
    """Ends the benchmark for a run that failed, or did something else."""
    if measured.code != code or says not in measured.said:
        sys.exit(f"{' '.join(map(str, words))} ended with {measured.code}:\n{measured.said[-3000:]}")
    return measured
