"""The lab's images as a containerd has them after it imported them: prepared once, given to every new machine.

Importing an archive writes every byte twice and costs each machine as much as the last. So one containerd imports all
archives into a folder of the cache, and a machine whose containerd never ran gets that folder: content and unpacked
layers as hard links, since containerd writes files of either once and afterwards only removes them, and the databases
as copies. What a machine's k0s finds to be imported already it leaves alone; all else it imports itself, as before.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from slipway.errors import SlipwayError
from slipway.events import Events
from slipway.lab import binaries, locks
from slipway.lab.settings import WITH_US, lab_cache
from slipway.result import CommandFailed
from slipway.tools.run import run

PHASE = "images"
IMPORT_TIMEOUT = 900.0
"""Seconds to import all archives, and to wait for another process that does; they take 15 on two cores."""
FILL_TIMEOUT = 120.0
"""Seconds for one machine's folder: well under one where it is linked, more where it lies on another disk."""
KEPT = 2
"""Stores that stay: today's, and the one before for the way back between two branches."""

METADATA = "io.containerd.metadata.v1.bolt"
MARKS = "slipway-imported"
PARTS = ("io.containerd.content.v1.content", "io.containerd.snapshotter.v1.overlayfs", METADATA, MARKS)
"""What a machine gets of containerd's folder, in this order: one that is cut short is begun anew before METADATA, and
before MARKS its k0s imports once more."""
DATABASES = (f"{METADATA}/meta.db", "io.containerd.snapshotter.v1.overlayfs/metadata.db")
"""The only files that containerd writes to in place."""

_SCRIPT = Path(__file__).with_name("store.sh")
_ISOLATED = (*WITH_US, "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")


def give(archives: Sequence[Path], folders: Iterable[Path], events: Events) -> None:
    """Give these archives, imported, to the containerds whose folders these are; prepare the store unless it is there.

    A folder that a containerd has used stays as it is. Raises SlipwayError where the import fails, WaitedTooLong.
    """
    with locks.held(
        home().with_suffix(".lock"),
        deadline=IMPORT_TIMEOUT,
        describe="the turn to import the lab's images",
        on_wait=lambda seen: events.emit(PHASE, "progress", text=f"import: {seen}"),
    ):
        store = home() / _key(archives)
        if not store.exists():
            _prepare(archives, store, events)
        store.touch()
        _forget_old()
        for folder in folders:
            _fill(folder, store)


def home() -> Path:
    return lab_cache() / "stores"


def _key(archives: Iterable[Path]) -> str:
    """Archives are named after what they are made from."""
    facts = [sorted(archive.name for archive in archives), binaries.result_dir("containerd").name, _SCRIPT.read_text()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _prepare(archives: Sequence[Path], store: Path, events: Events) -> None:
    """Import into a draft and rename it. The caller has the lock: a draft that is there was left by an interruption."""
    events.emit(PHASE, "started", name="import", text=f"import: {len(archives)} archives, once for all machines")
    draft = store.with_name(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    seconds = _import(archives, draft, events)
    for archive in archives:
        _mark(archive, draft / MARKS)
    for other in {path.name for path in draft.iterdir()} - set(PARTS):
        shutil.rmtree(draft / other)
    draft.rename(store)
    events.emit(PHASE, "done", name="import", seconds=round(seconds, 1), text=f"import: {seconds:.0f} s")


def _import(archives: Sequence[Path], folder: Path, events: Events) -> float:
    """Seconds that it took. Raises SlipwayError with the last words of containerd."""

    def tell(line: str) -> None:
        events.emit(PHASE, "progress", name="import", text=f"import: {line}")

    words: list[str | Path] = [*_ISOLATED, "sh", _SCRIPT, binaries.bin_dir(), folder, *archives]
    try:
        return run(words, timeout=IMPORT_TIMEOUT, on_line=tell).duration
    except CommandFailed as error:
        said = error.result.excerpt(3)
        raise SlipwayError(f"the lab's images could not be imported: {said}", hint=f"df -h {folder}") from error


def _mark(archive: Path, marks: Path) -> None:
    """What the lab's k0s leaves of an archive that it has imported (modules/k0s/images.go): a file named by content."""
    with tarfile.open(archive) as tar:

        def read(name: str) -> bytes:
            stream = tar.extractfile(name)
            assert stream is not None, f"{archive}: {name} is no file"
            return stream.read()

        manifest = read("manifest.json")
        images = json.loads(manifest)
        content = hashlib.sha256(manifest + b"".join(read(image["Config"]) for image in images))
    marks.mkdir(exist_ok=True)
    tags = [tag for image in images for tag in image["RepoTags"]]
    (marks / content.hexdigest()).write_text("".join(f"{tag}\n" for tag in tags))


def _fill(folder: Path, store: Path) -> None:
    if (folder / METADATA).exists():
        return
    draft = folder.with_name(f".{folder.name}")
    shutil.rmtree(draft, ignore_errors=True)
    same_disk = folder.stat().st_dev == store.stat().st_dev
    copy = ["cp", "--archive", "--link" if same_disk else "--reflink=auto", "--no-target-directory"]
    run([*copy, store, draft], timeout=FILL_TIMEOUT)
    for database in DATABASES:
        (draft / database).unlink()
        shutil.copy(store / database, draft / database)
    for part in PARTS:
        shutil.rmtree(folder / part, ignore_errors=True)
        (draft / part).rename(folder / part)
    draft.rmdir()


def _forget_old() -> None:
    """Remove all but the stores that were used last. Machines keep what they were given: it is theirs as well."""
    stores = sorted(home().glob("[!.]*"), key=lambda path: path.stat().st_mtime, reverse=True)
    for store in stores[KEPT:]:
        shutil.rmtree(store)
