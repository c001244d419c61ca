"""What is built, when it is built again, and what the folder of programs looks like. No real compiler, no network."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from slipway.events import Event, Events
from slipway.lab import binaries, elf
from slipway.lab.binaries import Background, BuildFailed, bin_dir, make
from slipway.lab.builds import Addition, Assets, Build, Program
from slipway.wait import WaitedTooLong, wait_until

FAKE_GO = Path(__file__).with_name("fake_go.sh")
DEADLINE = 60.0


@dataclass
class Go:
    """The state that the fake of go reads and writes."""

    folder: Path

    @property
    def builds(self) -> list[str]:
        calls = self.folder / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    def hold(self) -> None:
        (self.folder / "hold").touch()

    def release(self) -> None:
        (self.folder / "hold").unlink()

    def wait_for_builds(self, count: int) -> None:
        wait_until(lambda: (len(self.builds) >= count or None, ""), deadline=DEADLINE, describe="builds", interval=0.02)


def join_background() -> None:
    for thread in threading.enumerate():
        if thread.name == "lab-builds":
            thread.join(DEADLINE)


@pytest.fixture
def go(tmp_path, monkeypatch):
    """The fake first on PATH, and a cache of the test's own."""
    state, programs = tmp_path / "go", tmp_path / "programs"
    state.mkdir()
    programs.mkdir()
    shutil.copy(FAKE_GO, programs / "go")
    (programs / "go").chmod(0o755)
    monkeypatch.setenv("FAKE_GO", str(state))
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield Go(state)
    (state / "hold").unlink(missing_ok=True)
    join_background()


@pytest.fixture
def build(tmp_path):
    """A module of one program, `tool`, version v1.36.3."""
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module example.org/tool\n\nrequire example.org/pin v1.36.3\n")
    (module / "go.sum").write_text("example.org/pin v1.36.3 h1:x\n")
    (module / "main.go").write_text("package main // first\n")
    return Build("tool", module, (Program("tool", ".", "example.org/pin"),), seconds=1, megabytes=1)


@pytest.fixture
def heard():
    return []


@pytest.fixture
def events(heard):
    return Events(heard.append)


def test_builds_once_and_shows_the_program(go, build, events):
    make(build, events)
    make(build, events)
    assert len(go.builds) == 1
    assert (bin_dir() / "tool").read_text() == "package main // first\n"
    assert os.access(bin_dir() / "tool", os.X_OK)


def test_go_never_fetches_a_toolchain_or_edits_the_module(go, build, events):
    make(build, events)
    assert go.builds[0].startswith(f"{build.module} 0 -mod=readonly -buildvcs=false local build ")
    assert "-trimpath -ldflags -s -w" in go.builds[0]


@pytest.mark.parametrize("name", ["go.mod", "go.sum", "main.go", "inside/more.go"])
def test_builds_again_when_a_file_of_the_module_changed(go, build, events, name):
    make(build, events)
    (build.module / "inside").mkdir()
    with (build.module / name).open("a") as stream:
        stream.write("// second\n")
    make(build, events)
    assert len(go.builds) == 2


def test_builds_again_when_flags_changed(go, build, events):
    make(build, events)
    make(replace(build, ldflags="-X main.version={version}"), events)
    assert len(go.builds) == 2
    assert "-s -w -X main.version=v1.36.3" in go.builds[1]


def test_a_test_file_of_the_module_changes_nothing(go, build, events):
    make(build, events)
    (build.module / "main_test.go").write_text("package main\n")
    make(build, events)
    assert len(go.builds) == 1


def test_the_build_before_stays_and_older_ones_go(go, build, events):
    for text in ("first", "second", "third"):
        (build.module / "main.go").write_text(text)
        make(build, events)
    (build.module / "main.go").write_text("second")
    make(build, events)
    assert (bin_dir() / "tool").read_text() == "second"
    assert len(go.builds) == 3
    (build.module / "main.go").write_text("first")
    make(build, events)
    assert len(go.builds) == 4


def test_links_do_not_lead_out_of_the_folder(go, build, events):
    make(replace(build, links=("kubelet", "kubectl")), events)
    assert (bin_dir() / "kubelet").readlink() == Path("tool")
    assert (bin_dir() / "kubectl").resolve() == bin_dir() / "tool"
    assert not (bin_dir() / "tool").is_symlink()


def test_several_programs_of_one_build_keep_their_names(go, build, events):
    programs = (Program("one", "example.org/x/server/v3"), Program("two", "example.org/x/two"))
    make(replace(build, programs=programs), events)
    assert {path.name for path in bin_dir().iterdir()} == {"one", "two"}


def test_a_result_that_lacks_a_program_is_made_anew(go, build, events, monkeypatch):
    build = replace(build, programs=(Program("one", "example.org/x/one"), Program("two", "example.org/x/two")))
    monkeypatch.setattr("slipway.lab.builds.BUILDS", (build,))
    make(build, events)
    (binaries.result_dir("tool") / "one").unlink()
    (bin_dir() / "one").unlink()
    assert not binaries.ready("tool")
    make(build, events)
    assert binaries.ready("tool")
    assert (bin_dir() / "one").exists()


def test_assets_come_with_the_build(go, build, events, monkeypatch):
    (go.folder / "assets" / "crds").mkdir(parents=True)
    (go.folder / "assets" / "crds" / "a.yaml").write_text("kind: X\n")
    (go.folder / "assets" / "crds" / "a.yaml").chmod(0o444)
    build = replace(build, assets=(Assets("example.org/pin", "crds", "crds/pin"),))
    monkeypatch.setattr("slipway.lab.builds.BUILDS", (build,))
    make(build, events)
    copy = binaries.result_dir("tool") / "crds" / "pin" / "a.yaml"
    assert copy.read_text() == "kind: X\n"
    assert copy.stat().st_mode & 0o200, "read-only copies could not be removed again"


def test_a_file_that_the_published_module_lacks_is_added(go, build, events):
    """go takes the module with the file in it, by a path that is the same wherever the build is made."""
    (go.folder / "assets").mkdir()
    (go.folder / "assets" / "main.go").write_text("package upstream\n")
    make(replace(build, additions=(Addition("example.org/pin", "web/dist/index.html", "<p>\n"),)), events)
    built = go.folder / "module"
    assert (built / "pin/web/dist/index.html").read_text() == "<p>\n"
    assert (built / "pin/main.go").read_text() == "package upstream\n"
    assert (built / "go.mod").read_text().endswith("\nreplace example.org/pin => ./pin\n")
    assert not go.builds[0].startswith(str(build.module))
    assert "replace" not in (build.module / "go.mod").read_text()


def test_builds_again_when_an_addition_changed(go, build, events):
    (go.folder / "assets").mkdir()
    for text in ("one", "two", "two"):
        make(replace(build, additions=(Addition("example.org/pin", "page", text),)), events)
    assert len(go.builds) == 2


def test_tells_what_it_builds_and_how_it_went(go, build, events, heard):
    make(build, events)
    assert [(event.phase, event.state, event.data["name"]) for event in heard] == [
        ("binaries", "started", "tool"),
        ("binaries", "done", "tool"),
    ]
    assert heard[1].data["bytes"] == len("package main // first\n")
    assert heard[1].data["seconds"] >= 0


def test_a_failed_build_says_what_go_said_and_leaves_the_old_program(go, build, events, heard):
    make(build, events)
    (go.folder / "broken").touch()
    (build.module / "main.go").write_text("broken")
    with pytest.raises(BuildFailed, match=r"tool: go could not build it: main\.go:1: no such thing"):
        make(build, events)
    assert heard[-1].state == "failed"
    assert (bin_dir() / "tool").read_text() == "package main // first\n"
    (go.folder / "broken").unlink()
    make(build, events)
    assert (bin_dir() / "tool").read_text() == "broken"


class TestOnPath:
    """Programs of this machine are taken where they fit; a real one is static, a fake of a test cannot be."""

    @pytest.fixture
    def path(self, tmp_path, go, monkeypatch):
        monkeypatch.setattr(elf, "is_static", lambda _path: True)
        return tmp_path / "programs"

    @pytest.fixture
    def asking(self, build):
        return replace(build, asked={"tool": ("--version",)})

    def place(self, path: Path, name: str, version: str) -> Path:
        program = path / name
        program.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "Tool v{version} (linux)"\n')
        program.chmod(0o755)
        return program

    def test_the_right_minor_is_taken(self, path, go, asking, events):
        program = self.place(path, "tool", "1.36.9")
        make(asking, events)
        assert go.builds == []
        assert (bin_dir() / "tool").read_text() == program.read_text()
        assert not (bin_dir() / "tool").is_symlink(), "machines do not see PATH"

    @pytest.mark.parametrize("version", ["1.35.3", "2.36.3", "11.36.3"])
    def test_another_minor_is_refused(self, path, go, asking, events, version):
        self.place(path, "tool", version)
        make(asking, events)
        assert len(go.builds) == 1

    def test_one_that_needs_libraries_is_refused(self, path, go, asking, events, monkeypatch):
        monkeypatch.setattr(elf, "is_static", lambda _path: False)
        self.place(path, "tool", "1.36.3")
        make(asking, events)
        assert len(go.builds) == 1

    def test_a_set_is_taken_whole_or_not_at_all(self, path, go, build, events):
        build = replace(
            build, links=("kubelet", "kubectl"), asked={"kubelet": ("--version",), "kubectl": ("--version",)}
        )
        self.place(path, "kubelet", "1.36.3")
        make(build, events)
        assert len(go.builds) == 1
        kubectl = self.place(path, "kubectl", "1.36.3")
        make(build, events)
        assert len(go.builds) == 1
        assert (bin_dir() / "kubectl").read_text() == kubectl.read_text()

    def test_an_update_on_path_is_followed(self, path, go, asking, events):
        self.place(path, "tool", "1.36.3")
        make(asking, events)
        program = self.place(path, "tool", "1.36.10")
        make(asking, events)
        assert (bin_dir() / "tool").read_text() == program.read_text()

    def test_our_own_program_on_path_is_not_copied_again(self, path, go, asking, events, monkeypatch):
        bin_dir().mkdir(parents=True)
        self.place(bin_dir(), "tool", "1.36.3")
        monkeypatch.setenv("PATH", f"{bin_dir()}:{os.environ['PATH']}")
        make(asking, events)
        assert len(go.builds) == 1


OTHER_PROCESS = """
import sys
from pathlib import Path
from slipway.events import Events
from slipway.lab.binaries import make
from slipway.lab.builds import Build, Program
make(Build("tool", Path(sys.argv[1]), (Program("tool", ".", "example.org/pin"),), seconds=1, megabytes=1), Events())
"""


@pytest.fixture
def other_process(go, build):
    """Another process that is in the middle of the same build."""
    go.hold()
    process = subprocess.Popen([sys.executable, "-c", OTHER_PROCESS, str(build.module)])
    go.wait_for_builds(1)
    yield process
    process.kill()
    process.wait()


def test_two_processes_never_build_the_same(go, build, events, heard, other_process):
    thread = threading.Thread(target=make, args=(build, events))
    thread.start()
    waits = ("progress", "tool: another process is at it")
    wait_until(
        lambda: (any((event.state, event.data["text"]) == waits for event in heard) or None, ""),
        deadline=DEADLINE,
        describe="word of the other process",
        interval=0.02,
    )
    go.release()
    thread.join(DEADLINE)
    assert other_process.wait(DEADLINE) == 0
    assert len(go.builds) == 1
    assert (bin_dir() / "tool").exists()


def test_an_interrupted_build_leaves_nothing_that_looks_whole(go, build, events, other_process):
    other_process.send_signal(signal.SIGKILL)
    other_process.wait(DEADLINE)
    assert not bin_dir().exists()
    go.release()
    make(build, events)
    assert len(go.builds) == 2
    assert (bin_dir() / "tool").read_text() == "package main // first\n"


def test_a_build_ends_with_the_process_that_began_it(go, build, other_process):
    def building() -> bool:
        return any(str(build.module.parent) in line and "-trimpath" in line for line in command_lines())

    assert building()
    other_process.send_signal(signal.SIGKILL)
    wait_until(lambda: (not building() or None, "still there"), deadline=DEADLINE, describe="end of go", interval=0.02)


def command_lines() -> Iterator[str]:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # ended since it was listed
            yield (process / "cmdline").read_text()


class TestBackground:
    @pytest.fixture
    def builds(self, build, tmp_path):
        second = tmp_path / "second"
        shutil.copytree(build.module, second)
        return build, replace(build, name="other", module=second, programs=(Program("other", ".", "example.org/pin"),))

    def test_builds_in_order_and_waits_for_what_is_asked(self, go, builds, events, heard):
        go.hold()
        with Background(events, builds) as background:
            go.wait_for_builds(1)
            go.release()
            background.wait("tool")
            assert (bin_dir() / "tool").exists()
            background.wait("tool", "other")
        assert [event.data["name"] for event in heard if event.state == "started"] == ["tool", "other"]

    def test_an_error_reaches_who_waits_for_that_build_alone(self, go, builds, events):
        (go.folder / "broken").touch()
        with Background(events, builds[:1]) as background:
            go.wait_for_builds(1)
            with pytest.raises(BuildFailed):
                background.wait("tool")

    def test_waiting_is_bounded(self, go, builds, events):
        go.hold()
        with Background(events, builds) as background, pytest.raises(WaitedTooLong, match="tool built"):
            background.wait("tool", deadline=0.3)
        go.release()

    def test_leaving_begins_no_further_build_and_is_quiet(self, go, builds, events, heard):
        go.hold()
        with Background(events, builds):
            go.wait_for_builds(1)
        so_far: list[Event] = list(heard)
        go.release()
        join_background()
        assert len(go.builds) == 1
        assert heard == so_far
