"""The prepared store: made once, given as hard links, never to a containerd that has run. The import is a fake."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from slipway.errors import SlipwayError
from slipway.events import Event, Events
from slipway.lab import binaries, stores
from slipway.lab.archive import Image, Layer, text, write_archive

# What containerd leaves, a folder of no use to a node among it; the snapshot's folder belongs to the user of a pod.
FAKE_IMPORT = """\
#!/bin/sh
set -eu
echo "$@" >>{said}
root=$2
shift 2
for archive; do echo "${{archive##*/}}" >&2; done
blobs=$root/io.containerd.content.v1.content/blobs
snapshots=$root/io.containerd.snapshotter.v1.overlayfs
mkdir -p "$blobs" "$snapshots/snapshots/1/fs" "$root/io.containerd.metadata.v1.bolt" "$root/tmpmounts"
echo blob >"$blobs/1"
echo file >"$snapshots/snapshots/1/fs/file"
ln -s file "$snapshots/snapshots/1/fs/link"
chmod 0700 "$snapshots/snapshots/1/fs"
echo snapshots >"$snapshots/metadata.db"
echo metadata >"$root/io.containerd.metadata.v1.bolt/meta.db"
"""
BLOB = "io.containerd.content.v1.content/blobs/1"
FILE = "io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/file"


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The arguments of every import."""
    said = tmp_path / "said"
    said.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fake_import(tmp_path, monkeypatch, FAKE_IMPORT.format(said=said))
    return said


def fake_import(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = folder / "fake-import.sh"
    path.write_text(script)
    monkeypatch.setattr(stores, "_SCRIPT", path)
    monkeypatch.setattr(stores, "_ISOLATED", ())


@pytest.fixture
def archives(tmp_path) -> Sequence[Path]:
    return [archive(tmp_path, "pause"), archive(tmp_path, "coredns")]


def archive(folder: Path, name: str) -> Path:
    path = folder / f"{name}-0.tar"
    with path.open("wb") as stream:
        write_archive([Image((f"registry.example/{name}:v1",), (Layer((text("name", name),)),))], stream)
    return path


def machine(folder: Path, name: str) -> Path:
    """A machine's folder of containerd's, as furnish makes it."""
    made = folder / name / "containerd"
    made.mkdir(parents=True)
    return made


def test_two_machines_get_what_was_imported_once(said, archives, tmp_path):
    one, other = machine(tmp_path, "one"), machine(tmp_path, "other")
    stores.give(archives, [one], Events())
    stores.give(archives, [other], Events())
    (line,) = said.read_text().splitlines()
    assert line.split()[0] == str(binaries.bin_dir())
    assert line.split()[2:] == [str(path) for path in archives]
    for each in (one, other):
        assert sorted(path.name for path in each.iterdir()) == sorted(stores.PARTS)
        assert {path.read_text() for path in (each / stores.MARKS).iterdir()} == {
            "registry.example/pause:v1\n",
            "registry.example/coredns:v1\n",
        }
        assert (each / FILE).with_name("link").readlink() == Path("file")
        assert (each / FILE).parent.stat().st_mode & 0o777 == 0o700


def test_files_are_shared_and_what_containerd_writes_to_is_not(said, archives, tmp_path):
    one, other = machine(tmp_path, "one"), machine(tmp_path, "other")
    stores.give(archives, [one, other], Events())
    for name in (BLOB, FILE):
        assert (one / name).samefile(other / name)
    for name in stores.DATABASES:
        before = (other / name).read_text()
        (one / name).write_text("changed by one machine")
        assert (other / name).read_text() == before
    late = machine(tmp_path, "late")
    (one / BLOB).unlink()
    stores.give(archives, [late], Events())
    assert (late / BLOB).read_text() == "blob\n", "what a machine removes stays for all others"
    assert (late / stores.DATABASES[0]).read_text() == "metadata\n"


def test_a_machine_on_another_disk_gets_copies(said, archives, tmp_path):
    with TemporaryDirectory(dir="/dev/shm") as memory:
        one = machine(Path(memory), "one")
        assert one.stat().st_dev != tmp_path.stat().st_dev
        stores.give(archives, [one], Events())
        assert (one / BLOB).read_text() == "blob\n"
        assert (one / FILE).with_name("link").readlink() == Path("file")
        assert sorted(path.name for path in one.iterdir()) == sorted(stores.PARTS)


def test_a_containerd_that_has_run_keeps_what_it_has(said, archives, tmp_path):
    used = machine(tmp_path, "used")
    (used / stores.METADATA).mkdir()
    stores.give(archives, [used], Events())
    assert [path.name for path in used.iterdir()] == [stores.METADATA]


def test_what_was_cut_short_is_begun_anew(said, archives, tmp_path):
    half = machine(tmp_path, "half")
    content, _, _, _ = stores.PARTS
    (half / content / "blobs").mkdir(parents=True)
    (half.with_name(".containerd") / "left").mkdir(parents=True)
    (stores.home() / ".draft" / "left").mkdir(parents=True)
    stores.give(archives, [half], Events())
    assert (half / BLOB).read_text() == "blob\n"
    assert sorted(path.name for path in half.parent.iterdir()) == ["containerd"]
    assert not (stores.home() / ".draft").exists()


def test_another_archive_is_another_store_and_the_oldest_goes(said, archives, tmp_path):
    for name in ("gitea", "flux", "openbao"):
        stores.give([*archives, archive(tmp_path, name)], [], Events())
        stores.give(archives, [], Events())
    assert len(said.read_text().splitlines()) == 4, "what is in use stays"
    assert len(list(stores.home().iterdir())) == stores.KEPT


def test_an_import_that_fails_is_told_and_leaves_no_store(said, archives, tmp_path, monkeypatch):
    fake_import(tmp_path, monkeypatch, "echo 'no space left on device' >&2; exit 1")
    own = machine(tmp_path, "own")
    with pytest.raises(SlipwayError, match="could not be imported: no space left on device") as failed:
        stores.give(archives, [own], Events())
    assert str(failed.value.hint).startswith("df -h ")
    assert list(own.iterdir()) == []
    assert [path.name for path in stores.home().iterdir()] == [".draft"]


def test_it_says_what_it_is_at(said, archives):
    heard: list[Event] = []
    stores.give(archives, [], Events(heard.append))
    assert [event.data["text"] for event in heard] == [
        "import: 2 archives, once for all machines",
        "import: pause-0.tar",
        "import: coredns-0.tar",
        "import: 0 s",
    ]
    heard.clear()
    stores.give(archives, [], Events(heard.append))
    assert heard == []
