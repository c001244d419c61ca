"""What the tests of the lab share: commands as a user types them, a repository and its cluster, faults that get mended.

Every process that a test starts is started here.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

import pytest

from slipway.errors import SlipwayError
from slipway.inventory import Inventory, load
from slipway.lab import machines
from slipway.lab.reach import remote
from slipway.lab.settings import Machine
from slipway.result import CommandResult
from slipway.secret import Secret
from slipway.ssh.pool import Pool
from slipway.tools import kubectl
from slipway.tools.kubeconfig import Kubeconfig
from slipway.tools.run import find_program, run
from slipway.wait import wait_until

COMMAND_TIMEOUT = 600.0
"""Seconds; the longest command is the first deploy."""
SEEN_WITHIN = 600.0
"""Seconds for what a machine does by itself, on a host that has much else to do."""
SHELL_TIMEOUT = 600.0
ENDS_WITHIN = 60.0
TRIES = 5
"""Looks at what may be otherwise for a moment while a machine is busy: a probe that came late, a canary that did not
start in time. Whatever is wrong is so each time."""


@dataclass(frozen=True)
class Ran:
    """A command of slipway that has ended."""

    result: CommandResult

    @property
    def out(self) -> str:
        return self.result.stdout

    @property
    def err(self) -> str:
        return self.result.stderr

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def ended(self, code: int) -> Ran:
        found = self.result.exit_code
        assert found == code, f"{self.result.command}: exit code {found}, not {code}\n{self.out}\n{self.err}"
        return self


def tags(archive: Path) -> list[str]:
    """The names of the images in a docker-archive."""
    with tarfile.open(archive) as opened:
        manifest = opened.extractfile("manifest.json")
        assert manifest is not None
        return [tag for image in json.load(manifest) for tag in image["RepoTags"]]


def eventually(is_so: Callable[[], object], what: str, *, deadline: float = SEEN_WITHIN) -> None:
    """Wait until it is so; a question that nobody answers meanwhile, as while something restarts, is asked again."""

    def look() -> tuple[bool | None, str]:
        try:
            return (True, "") if is_so() else (None, "not yet")
        except SlipwayError as error:
            return None, str(error)

    wait_until(look, deadline=deadline, describe=what, interval=0.2)


def sooner_or_later(look: Callable[[], object], wanted: object, what: str) -> None:
    """What is seen is what is wanted, at one of TRIES looks. The last one's sight is told where it never is."""
    for _ in range(TRIES):
        seen = look()
        if seen == wanted:
            return
    assert seen == wanted, f"{what}, {TRIES} times"


class HasNodes(Protocol):
    def sh(self, node: str, script: str) -> str:
        """Run a script on a node; return what it prints. Raises or fails if it ends with another exit code than 0."""


def on_machine(machine: Machine, script: str, timeout: float = 60.0) -> str:
    """What a script prints that is run there by the lab's own way in; `timeout` in seconds."""
    host = remote(machine)
    try:
        return host.run(["sh", "-ec", script], timeout=timeout).stdout.strip()
    finally:
        host.close()


@contextmanager
def fault(nodes: HasNodes, node: str, make: str, mend: str) -> Iterator[None]:
    """What somebody does to a node, and what undoes it after the block; both scripts may use /run/fault."""
    nodes.sh(node, f"rm -f /run/fault; {make}")
    try:
        yield
    finally:
        nodes.sh(node, mend)


@contextmanager
def without_cable(machine: Machine) -> Iterator[None]:
    machines.isolate(machine)
    try:
        yield
    finally:
        machines.rejoin(machine)


@dataclass(frozen=True)
class Home:
    """Where a user of the tests keeps things; `reports` is what commands said, as a person or CI keeps it."""

    folder: Path

    @property
    def configuration(self) -> Path:
        return self.folder / "config"

    @property
    def reports(self) -> Path:
        return self.folder / "reports"

    @property
    def temporary(self) -> Path:
        return self.folder / "temporary"


@contextmanager
def at_home(folder: Path) -> Iterator[Home]:
    """A user of the tests' own, for this process and all that it starts: age keys and temporary files go there."""
    home = Home(folder)
    for each in (home.configuration, home.reports, home.temporary):
        each.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SOPS_AGE_KEY_FILE", raising=False)
        patch.setenv("XDG_CONFIG_HOME", str(home.configuration))
        patch.setenv("TMPDIR", str(home.temporary))
        yield home


class Repository:
    """A user's repository. `slipway` runs a command in it and keeps what that said in the user's reports."""

    timeout = COMMAND_TIMEOUT

    def __init__(self, root: Path, home: Home) -> None:
        root.mkdir(exist_ok=True)
        self.root = root
        self.home = home
        self._number = count(1)
        self._done: set[tuple[str, ...]] = set()

    def slipway(self, *words: str) -> Ran:
        if words[:1] == ("handoff",):
            self.commit()
        argv = [sys.executable, "-m", "slipway.cli", *words]
        ran = Ran(run(argv, cwd=self.root, timeout=self.timeout, check=False))
        self._keep(words, ran)
        if ran.result.ok:
            self._done.add(words)
        return ran

    @contextmanager
    def under_way(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A command that goes on until somebody ends it, and what it prints."""
        argv = [sys.executable, "-m", "slipway.cli", *words]
        nothing, told = subprocess.DEVNULL, subprocess.PIPE
        with subprocess.Popen(argv, cwd=self.root, stdin=nothing, stdout=told, text=True) as process:
            try:
                yield process
            finally:
                process.kill()

    def once(self, *words: str) -> None:
        """Have this command done in this repository: nothing if a test has run it, and it ended well."""
        if words in self._done:
            return
        if words == ("verify",):
            self.verified()
        else:
            self.slipway(*words).ended(0)

    def verified(self) -> None:
        """Every node is green."""
        for _ in range(TRIES - 1):
            if self.slipway("verify").result.ok:
                return
        self.slipway("verify").ended(0)

    def _keep(self, words: Sequence[str], ran: Ran) -> None:
        name = re.sub(r"[^a-z0-9]+", "-", " ".join(words))[:80]
        report = self.home.reports / f"{self.root.name}-{next(self._number):03}-{name}"
        report.with_suffix(".out").write_text(ran.out)
        report.with_suffix(".err").write_text(ran.err)

    def copy(self, place: Path) -> Repository:
        """A second checkout, for a change that this one must not see."""
        shutil.copytree(self.root, place, symlinks=True)
        return Repository(place, self.home)

    def commit(self) -> None:
        """All that is there, as a user does before a hand-off; Flux reads commits."""
        self.git("add", "--all")
        if self.git("status", "--porcelain"):
            self.git(
                "-c", "user.name=Tester", "-c", "user.email=tester@example.org", "commit", "--quiet", "-m", "Change"
            )

    def git(self, *words: str) -> str:
        return run(["git", *words], cwd=self.root).stdout

    def sh(self, node: str, script: str) -> str:
        return self.slipway("lab", "ssh", node, "--", "sh", "-ec", script).ended(0).out

    def inventory(self) -> Inventory:
        return load(self.root / "inventory.yaml")

    def systems(self) -> dict[str, str]:
        """What each node runs."""
        return {
            host.name: self.sh(host.name, "readlink -f /run/current-system").strip() for host in self.inventory().hosts
        }


@dataclass(frozen=True)
class Cluster:
    """A cluster that was handed over from its repository, with connections of the tests' own."""

    repository: Repository
    inventory: Inventory
    pool: Pool
    kubeconfig: Kubeconfig

    @property
    def root(self) -> Path:
        return self.repository.root

    def sh(self, node: str, script: str) -> str:
        return self.pool.host(node).run(["sh", "-ec", script], timeout=SHELL_TIMEOUT).stdout

    def get(self, kind: str, name: str = "", namespace: str = "", selector: str = "") -> Any:
        return kubectl.get(self.kubeconfig, kind, name, namespace=namespace, selector=selector)

    def kubectl(self, *words: str, input: bytes | Secret | None = None, timeout: float = 60.0) -> str:
        return kubectl.kubectl(self.kubeconfig, *words, input=input, timeout=timeout).stdout

    @contextmanager
    def under_way(self, program: str, *words: str) -> Iterator[None]:
        """kubectl or helm at work on the cluster for as long as the block lasts; then it is killed."""
        with self.kubeconfig.as_file() as config:
            argv = [str(find_program(program)), f"--kubeconfig={config}", *words]
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            try:
                yield
            finally:
                process.kill()
                process.wait(ENDS_WITHIN)


def outcomes(ran: Ran) -> dict[str, str]:
    """How each node of `slipway deploy --json` ended."""
    return {each["node"]: each["outcome"] for each in ran.json["nodes"]}
