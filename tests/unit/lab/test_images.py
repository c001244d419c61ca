"""Which images there are, and when their archives are made again. Programs are fakes of a few bytes."""

import io
import json
import re
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from slipway.errors import PrerequisiteMissing
from slipway.events import Events
from slipway.generate.gitops.charts import IMAGES
from slipway.lab import archive, binaries, elf, images, wheels
from slipway.lab.builds import BUILDS
from slipway.lab.images import BUNDLES, CLUSTER, ensure, images_dir, references

REFERENCE = re.compile(r"[a-z0-9.]+(/[a-z-]+){1,2}:[a-z0-9.-]+")


def fake(path: Path, says: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Fakes of the programs of this machine, alone on PATH, and of all builds, as if made."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "programs"
    fake(folder / "busybox", "busybox\nsh\nls")
    for name in ("git", "bash", "nft", "date", "ls"):
        fake(folder / name)
    monkeypatch.setenv("PATH", f"{folder}:/bin")
    monkeypatch.setattr(elf, "libraries", lambda path: (Path("/bin/sh"),) if path.name != "busybox" else ())
    for build in BUILDS:
        for program in build.programs:
            fake(binaries.bin_dir() / program.name)
    fake(binaries.result_dir("volsync") / "mover-restic" / "entry.sh")
    fake(folder / "bao")
    monkeypatch.setattr(wheels, "program", lambda _package, _inside: folder / "bao")
    monkeypatch.setattr(binaries, "ensure", lambda names, events: None)
    return folder


@pytest.fixture
def heard():
    return []


@pytest.fixture
def events(heard):
    return Events(heard.append)


def contents(tar: Path | io.BytesIO) -> dict[str, bytes]:
    """The files of a tar by their paths; b"" for what is no file."""
    with tarfile.open(tar) if isinstance(tar, Path) else tarfile.open(fileobj=tar) as opened:
        streams = {member.name: opened.extractfile(member) for member in opened if not member.issym()}
        return dict.fromkeys(opened.getnames(), b"") | {name: each.read() for name, each in streams.items() if each}


def manifest(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(contents(path)["manifest.json"])
    return found


def layers(path: Path, image: int = 0) -> list[set[str]]:
    """The paths in each layer of an image of an archive."""
    files = contents(path)
    return [set(contents(io.BytesIO(files[name]))) for name in manifest(path)[image]["Layers"]]


def test_every_image_lies_in_one_archive(programs, events):
    everything = ensure(events, BUNDLES)
    tags = [tag for path in everything for entry in manifest(path) for tag in entry["RepoTags"]]
    assert sorted(tags) == sorted(references().values())
    assert len(tags) == len(set(tags))


def test_a_lab_that_ends_with_the_first_stage_has_no_image_of_a_later_one(programs, events):
    made = {path.name.rpartition("-")[0] for path in ensure(events)}
    assert made == set(images.wanted_until("bootstrap")) == set(BUNDLES) - {
        "storage", "volsync", "openbao", "external-secrets", "podinfo",
    }  # fmt: skip
    assert set(images.wanted_until("cluster-base-apps")) == set(BUNDLES) - {"podinfo"}
    assert set(images.wanted_until("cluster-apps")) == set(BUNDLES)


def test_the_sample_application_has_its_program_where_its_manifest_starts_it(programs, events):
    [path] = ensure(events, ["podinfo"])
    assert "podinfo" in layers(path)[2]
    assert manifest(path)[0]["RepoTags"] == [str(IMAGES["podinfo"])]


def test_the_mover_has_restic_and_what_its_script_asks_of_gnus_tools(programs, events):
    [path] = ensure(events, ["volsync"])
    assert {"usr/local/bin/ls", "usr/local/bin/date"} <= layers(path)[2]
    assert {"manager", "usr/local/bin/restic", "mover-restic/entry.sh", "bin/bash"} <= layers(path)[3]


def test_names_are_complete(programs):
    for reference in references().values():
        assert REFERENCE.fullmatch(reference), reference


def test_a_second_run_makes_nothing(programs, events, heard):
    first = ensure(events)
    heard.clear()
    states = {path: path.stat().st_mtime_ns for path in first}
    assert ensure(events) == first
    assert {path: path.stat().st_mtime_ns for path in first} == states
    assert heard == []


def test_a_changed_program_makes_its_archive_alone(programs, events, heard):
    before = set(ensure(events))
    heard.clear()
    fake(binaries.bin_dir() / "source-controller", "another version")
    after = set(ensure(events))
    assert {path.name.rpartition("-")[0] for path in after - before} == {"source-controller"}
    assert set(images_dir().iterdir()) == after, "the archive of the old program is gone"
    assert [(event.state, event.data["name"]) for event in heard] == [
        ("started", "source-controller"),
        ("done", "source-controller"),
    ]


def test_nodes_never_see_a_half_written_archive(programs, events, monkeypatch):
    seen: list[Path] = []

    def broken(_images, sink):
        sink.write(b"half")
        seen.extend(images_dir().iterdir())
        raise OSError("no space left on device")

    monkeypatch.setattr(archive, "write_archive", broken)
    with pytest.raises(OSError, match="no space"):
        ensure(events, ["pause"])
    assert seen == list(images_dir().iterdir()) == []


def test_a_lab_sees_the_archives_of_today_alone(programs, events, tmp_path):
    shown = tmp_path / "shown"
    images.show(ensure(events, ["pause", "busybox"]), shown)
    fake(binaries.bin_dir() / "pause", "another version")
    today = ensure(events, ["pause"])
    (images_dir() / "flux-operator-0123456789ab.tar").write_text("of another branch, under a name of ours")
    images.show(today, shown)
    (archive_shown,) = shown.iterdir()
    assert archive_shown.name == today[0].name
    assert archive_shown.samefile(today[0])
    assert not list(tmp_path.glob(".shown*"))


def test_on_another_disk_an_archive_is_copied(programs, events):
    with TemporaryDirectory(dir="/dev/shm") as memory:
        (made,) = ensure(events, ["pause"])
        images.show([made], Path(memory) / "shown")
        assert (Path(memory) / "shown" / made.name).read_bytes() == made.read_bytes()


def test_only_what_was_asked_for_is_made(programs, events):
    ensure(events, CLUSTER)
    assert {path.name.rpartition("-")[0] for path in images_dir().iterdir()} == set(CLUSTER)


def test_the_network_has_kube_proxy_and_nft(programs, events):
    [path] = ensure(events, ["kube-node"])
    assert {"usr/local/bin/kubectl", "usr/local/bin/kube-proxy"} <= layers(path)[2]
    assert layers(path)[3] == {"usr/sbin/nft", "bin/sh"}, "a program and its libraries"


def test_the_operator_has_its_manifests_and_no_digests_of_other_images(programs, events):
    """With upstream's digests it would ask for images that no node of the lab has."""
    data = binaries.result_dir("flux-operator") / "data"
    for name in ("flux/v2.9.4/rbac.yaml", "flux-images/VERSION", "flux-images/v2.9.4/upstream-alpine.yaml"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).write_text("x\n")
    [path] = ensure(events, ["flux-operator"])
    files = layers(path)[2]
    assert files == {"flux-operator", "etc/os-release", "data/flux/v2.9.4/rbac.yaml", "data/flux-images/VERSION"}


def test_every_image_but_pause_has_a_shell_and_env(programs, events):
    for path in ensure(events, [name for name in BUNDLES if name != "pause"]):
        for number in range(len(manifest(path))):
            files = set().union(*layers(path, number))
            assert {"bin/sh", "usr/bin/env", "etc/passwd", "tmp"} <= files


def test_gitea_has_what_its_hooks_call(programs, events):
    static = binaries.result_dir("gitea") / "static" / "options" / "locale"
    static.mkdir(parents=True)
    (static / "en.json").write_text("{}")
    [path] = ensure(events, ["gitea"])
    files = set().union(*layers(path))
    assert {"usr/bin/git", "bin/bash", "usr/bin/bash", "usr/bin/git-upload-pack", "usr/lib/git-core/git"} <= files
    assert "usr/share/gitea/options/locale/en.json" in files


def test_a_missing_program_is_named(programs, events):
    (programs / "nft").unlink()
    with pytest.raises(PrerequisiteMissing, match="nft: the lab's images need it") as error:
        ensure(events, ["kube-node"])
    assert error.value.hint == "slipway lab packages"


def test_k0s_gets_images_under_its_own_names_in_the_labs_own_folder(programs, events, tmp_path, heard):
    pause, balancer = "quay.io/k0sproject/pause:3.10.2-0", "quay.io/k0sproject/envoy-distroless:v1.39.0"
    wanted = [pause, balancer, "quay.io/k0sproject/kube-router:v2.10.0", "quay.io/k0sproject/metrics-server:v0.9.0"]
    made = images.ensure_for_k0s(wanted, tmp_path / "own", events)
    assert [manifest(path)[0]["RepoTags"] for path in made] == [[pause], [balancer]]
    assert set((tmp_path / "own").iterdir()) == set(made)
    assert not images_dir().exists()
    assert layers(made[1]) == [{"envoy"}]
    heard.clear()
    assert images.ensure_for_k0s(wanted, tmp_path / "own", events) == made
    assert heard == []


def test_what_k0s_demands_to_be_no_root_is_none(programs, events, tmp_path):
    """k0s sets runAsNonRoot without a number: kubelet refuses an image whose user is root, or a name."""
    for short in images.FOR_K0S:
        [path] = images.ensure_for_k0s([f"quay.io/k0sproject/{short}:v1"], tmp_path, events)
        configuration = json.loads(contents(path)[manifest(path)[0]["Config"]])
        assert configuration["config"]["User"].partition(":")[0].isdigit(), short
        assert configuration["config"]["User"].partition(":")[0] != "0", short
