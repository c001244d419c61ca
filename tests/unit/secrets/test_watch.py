"""While any command on secrets runs, nobody can read one: not in arguments, not in a file but in memory for its owner.

What is watched is tried first, with a program that does it wrong.
"""

import base64
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipway.generate.gitops.secrets import BY_NAME, Form
from slipway.secrets import leaks, store

PAUSE = 0.004
MEMORY = Path("/dev/shm")
EDITOR = """#!/bin/sh
sleep 0.2
sed -i 's/^"password": .*/"password": "a-password-of-the-editor"/' "$1"
"""


class Watch(threading.Thread):
    """Reads, again and again, arguments of all processes, files of these folders, and the modes of those in memory."""

    def __init__(self, folders: tuple[Path, ...]) -> None:
        super().__init__(daemon=True)
        self.arguments: set[bytes] = set()
        self.contents: set[bytes] = set()
        self.modes: dict[str, int] = {}
        self._folders = folders
        self._known: dict[str, tuple[int, int]] = {}
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(PAUSE):
            for name in os.listdir("/proc"):  # noqa: PTH208 (hundreds of times a second)
                if name.isdecimal():
                    self._read(self.arguments, Path("/proc", name, "cmdline"))
            for path in self._files(self._folders):
                self._look(path)
            for path in MEMORY.glob("slipway-*/**"):
                self._mode(path)

    def _files(self, folders: tuple[Path, ...]) -> Iterator[Path]:
        for folder in folders:
            for top, names, files in os.walk(folder):
                names[:] = [name for name in names if name != ".git"]
                yield from (Path(top, file) for file in files)

    def _look(self, path: Path) -> None:
        try:
            about = path.stat()
        except OSError:
            return
        state = (about.st_mtime_ns, about.st_size)
        if self._known.get(str(path)) != state and about.st_size < leaks.MOST_FILE:
            self._known[str(path)] = state
            self._read(self.contents, path)

    def _read(self, into: set[bytes], path: Path) -> None:
        try:
            into.add(path.read_bytes())
        except OSError:
            return

    def _mode(self, path: Path) -> None:
        try:
            self.modes[str(path)] = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            return

    def __enter__(self) -> "Watch":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def holds(self, secrets: set[bytes]) -> dict[str, int]:
        """How many of the secrets were seen where."""
        places = {"arguments": self.arguments, "files": self.contents}
        return {where: sum(any(each in text for text in seen) for each in secrets) for where, seen in places.items()}


@pytest.fixture
def world(repository, tmp_path, monkeypatch):
    """The folders that commands could write to, but that of the user's own age keys; and a way to run one."""
    for name in ("home", "temporary"):
        (tmp_path / name).mkdir()
    editor = tmp_path / "editor"
    editor.write_text(EDITOR)
    editor.chmod(0o755)
    changes = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary"), "VISUAL": str(editor)}
    for name, value in changes.items():
        monkeypatch.setenv(name, value)

    def run(*words: str, given: bytes | None = None) -> None:
        argv = [sys.executable, "-m", "slipway.cli", "secrets", *words]
        done = subprocess.run(argv, cwd=repository.root, input=given, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        seen.add(done.stdout + done.stderr)

    seen: set[bytes] = set()
    return run, (tmp_path / "home", tmp_path / "temporary", repository.root), seen


def secrets_of(repository) -> set[bytes]:
    """Every value that nobody may see, as it is and in base64; and the private keys of age."""
    harmless = (Form.NAME, Form.SEAL_ID, Form.SEAL_ID_BEFORE, Form.REPOSITORY)
    found: set[bytes] = set()
    for about in BY_NAME.values():
        if (repository.root / about.file).exists():
            values = repository.values(about.name)
            found |= {values[key.name] for key in about.keys if key.form not in harmless and key.name in values}
    plain = {line for value in found for line in value.splitlines() if len(line) >= leaks.LEAST}
    return plain | {base64.b64encode(value) for value in found if len(value) >= leaks.LEAST}


def test_control_what_does_it_wrong_is_seen(tmp_path):
    script = "f=$(mktemp); echo $TEXT >$f; mkdir -m 755 $D; echo x >$D/x; sleep 1; rm -r $f $D"
    folder = MEMORY / f"slipway-control-{os.getpid()}"
    with Watch((tmp_path,)) as watch:
        environment = {**os.environ, "TMPDIR": str(tmp_path), "D": str(folder), "TEXT": "in-a-file-of-the-disk"}
        subprocess.run(["sh", "-c", script, "in-an-argument"], env=environment, check=True)
    assert watch.holds({b"in-an-argument", b"in-a-file-of-the-disk"}) == {"arguments": 1, "files": 1}
    assert watch.modes[str(folder)] == 0o755


def test_no_command_shows_a_secret_to_anybody(repository, world):
    run, folders, said = world
    repository.commit()
    known = secrets_of(repository)
    with Watch(folders) as watch:
        for name in ("openbao-admin", "git-webhook"):
            (repository.root / BY_NAME[name].file).unlink()
        run("init")
        run("check")
        known |= secrets_of(repository)
        run("edit", "secrets/backup-s3", "--stdin", given=b"AWS_SECRET_ACCESS_KEY: by-standard-input\n")
        run("edit", "openbao/openbao-admin")
        for words in (("seal",), ("seal", "--finish"), ("git-reader",), ("webhook",), ("age",)):
            run("rotate", *words)
            known |= secrets_of(repository)
        run("rotate", "age", "--finish")
        known |= secrets_of(repository)
    assert {b"by-standard-input", b"a-password-of-the-editor"} <= known
    assert watch.holds(known) == {"arguments": 0, "files": 0}
    assert not any(each in text for each in known for text in said)
    assert any(b"sops" in text for text in watch.arguments), "the programs were seen at work"
    assert watch.modes
    files = {path: mode for path, mode in watch.modes.items() if Path(path).parent != MEMORY}
    assert set(files.values()) <= {0o600}
    assert {mode for path, mode in watch.modes.items() if path not in files} <= {0o700}
    assert store.recipients_of(repository.root)
