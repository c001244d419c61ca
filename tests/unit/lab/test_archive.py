"""Layers and archives: the same bytes for the same files, and the format that importers read."""

import hashlib
import io
import json
import os
import tarfile

import pytest

from slipway.lab.archive import Image, Layer, folder, identity, link, program, text, tree, write_archive


@pytest.fixture
def tool(tmp_path):
    path = tmp_path / "tool"
    path.write_bytes(b"\x7fELF" + bytes(3000))
    return path


@pytest.fixture
def layer(tool):
    return Layer((program("usr/bin/tool", tool), link("bin/sh", "busybox"), folder("tmp", mode=0o1777)))


def written(*images: Image) -> bytes:
    sink = io.BytesIO()
    write_archive(images, sink)
    return sink.getvalue()


def members(content: bytes) -> dict[str, bytes]:
    """The files of a tar by their paths."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        streams = {member.name: archive.extractfile(member) for member in archive if member.isfile()}
        return {name: stream.read() for name, stream in streams.items() if stream}


def layer_files(content: bytes) -> list[str]:
    """The names of the layers in an archive, each as often as it is there."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        return [name for name in archive.getnames() if name.endswith(".tar")]


def image(*layers: Layer, name: str = "example.org/tool:v1") -> Image:
    return Image((name,), layers, entrypoint=("/usr/bin/tool",), user="65534:65534", env={"B": "2", "A": "1"})


def test_the_same_files_give_the_same_bytes(tool, layer):
    first = written(image(layer))
    os.utime(tool, (1, 1))
    tool.chmod(0o600)
    assert written(image(Layer(tuple(reversed(layer.entries))))) == first


def test_other_contents_give_other_names(tool, layer):
    first = members(written(image(layer)))
    tool.write_bytes(b"other")
    second = members(written(image(Layer(layer.entries))))
    assert set(first) & set(second) == {"manifest.json"}


def test_a_layer_is_an_ordinary_tar(layer):
    sink = io.BytesIO()
    layer.write(sink)
    assert len(sink.getvalue()) == layer.size
    assert hashlib.sha256(sink.getvalue()).hexdigest() == layer.digest
    with tarfile.open(fileobj=io.BytesIO(sink.getvalue())) as archive:
        found = {member.name: member for member in archive.getmembers()}
    assert list(found) == ["bin/sh", "tmp", "usr/bin/tool"]
    assert found["usr/bin/tool"].mode == 0o755, "the module cache and umask decide nothing"
    assert found["usr/bin/tool"].size == 3004
    assert found["bin/sh"].linkname == "busybox"
    assert found["tmp"].isdir()
    assert found["tmp"].mode == 0o1777
    assert {(member.mtime, member.uid, member.uname) for member in found.values()} == {(0, 0, "")}


def test_the_manifest_leads_to_configuration_and_layers(layer):
    found = members(written(image(layer)))
    [entry] = json.loads(found["manifest.json"])
    assert entry["RepoTags"] == ["example.org/tool:v1"]
    [name] = entry["Layers"]
    assert hashlib.sha256(found[name]).hexdigest() == layer.digest
    configuration = json.loads(found[entry["Config"]])
    assert configuration["rootfs"]["diff_ids"] == [f"sha256:{layer.digest}"]
    assert configuration["config"] == {
        "Entrypoint": ["/usr/bin/tool"],
        "Cmd": [],
        "Env": ["A=1", "B=2"],
        "User": "65534:65534",
        "WorkingDir": "/",
    }
    assert entry["Config"] == f"{hashlib.sha256(found[entry['Config']]).hexdigest()}.json"


def test_images_share_a_layer_in_one_archive(layer):
    own = Layer((text("etc/name", "second\n"),))
    content = written(image(layer), image(layer, own, name="example.org/second:v1"))
    first, second = json.loads(members(content)["manifest.json"])
    assert first["Layers"] == second["Layers"][:1]
    assert sorted(layer_files(content)) == sorted(second["Layers"])


def test_equal_layers_of_two_objects_are_one(tool):
    layers = [Layer((program("tool", tool),)) for _ in range(2)]
    content = written(image(layers[0]), image(layers[1], name="example.org/second:v1"))
    assert layer_files(content) == [f"{layers[0].digest}.tar"]


def test_the_identity_changes_with_every_input(tool, layer):
    before = identity([image(layer)])
    assert identity([image(Layer(layer.entries))]) == before
    assert identity([image(layer, name="example.org/tool:v2")]) != before
    assert identity([image(Layer((*layer.entries, text("etc/name", "x"))))]) != before
    assert identity([image(Layer((*layer.entries, text("etc/name", "y"))))]) != identity(
        [image(Layer((*layer.entries, text("etc/name", "x"))))]
    )
    tool.write_bytes(b"longer or shorter")
    assert identity([image(layer)]) != before


def test_a_tree_holds_files_of_all_depths(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_text("x")
    (tmp_path / "d").write_text("y")
    assert sorted(entry.path for entry in tree("usr/share", tmp_path)) == ["usr/share/a/b/c", "usr/share/d"]


def test_a_long_path_survives(tmp_path):
    path = "usr/share/" + "a" * 120 + "/" + "b" * 120
    layer = Layer((text(path, "x"),))
    sink = io.BytesIO()
    layer.write(sink)
    assert members(sink.getvalue()) == {path: b"x"}


def test_a_link_of_this_machine_is_followed(tool, tmp_path):
    (tmp_path / "alias").symlink_to(tool)
    sink = io.BytesIO()
    Layer((program("bin/alias", tmp_path / "alias"),)).write(sink)
    assert members(sink.getvalue()) == {"bin/alias": tool.read_bytes()}
