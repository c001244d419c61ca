import shutil
from collections import namedtuple

import pytest

from slipway.errors import PrerequisiteMissing
from slipway.lab import binaries, builds, elf, images, needs, stores
from slipway.lab.needs import GIGABYTE

Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A machine with nothing: no programs on PATH, an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setattr(needs, "C_HEADER", tmp_path / "stdio.h")
    monkeypatch.setattr(images, "CA_BUNDLE", tmp_path / "authorities.crt")
    return tmp_path


@pytest.fixture
def equipped(bare, monkeypatch):
    """A machine with every program; nothing is made yet."""
    programs = bare / "empty"
    programs.mkdir()
    for name in (*needs.PACKAGES, "busybox", "gcc"):
        (programs / name).touch(0o755)
    for name in ("stdio.h", "authorities.crt"):
        (bare / name).touch()
    monkeypatch.setattr(elf, "is_static", lambda _path: True)
    return programs


def test_names_every_missing_package(bare):
    assert needs.missing() == (
        "bash", "busybox-static", "ca-certificates", "gcc", "git", "libc-bin", "libc6-dev", "nftables", "util-linux",
    )  # fmt: skip


def test_one_line_says_what_to_install(equipped):
    (equipped / "nft").unlink()
    (equipped / "git").unlink()
    with pytest.raises(PrerequisiteMissing, match="need these Debian packages: git nftables") as error:
        needs.check()
    assert error.value.hint == "apt-get install -y --no-install-recommends git nftables"


def test_a_busybox_with_libraries_will_not_do(equipped, monkeypatch):
    monkeypatch.setattr(elf, "is_static", lambda _path: False)
    assert needs.missing() == ("busybox-static",)


def made(name: str) -> None:
    """What there is once a build is done."""
    build, result = builds.build_of(name), binaries.result_dir(name)
    for each in (*(program.name for program in build.programs), *(asset.name for asset in build.assets)):
        (result / each).mkdir(parents=True)


def test_a_compiler_is_needed_only_until_gitea_is_built(equipped):
    (equipped / "gcc").unlink()
    assert needs.missing() == ("gcc",)
    made("gitea")
    assert needs.missing() == ()


def test_a_full_disk_is_told_with_figures(equipped, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(0, 0, 3 * GIGABYTE))
    with pytest.raises(PrerequisiteMissing, match=r"need 2\d\.\d GB on the disk of .*; 3\.0 GB are free"):
        needs.check()


def test_what_is_made_needs_no_room(equipped):
    everything = needs.need_bytes()
    made("kube")
    assert needs.need_bytes() == everything - 4 * GIGABYTE
    images.images_dir().mkdir(parents=True)
    (images.images_dir() / "pause-0.tar").touch()
    with_archives = needs.need_bytes()
    assert with_archives < everything - 4 * GIGABYTE
    (stores.home() / "0").mkdir(parents=True)
    assert needs.need_bytes() < with_archives - GIGABYTE


def test_a_machine_with_everything_passes(equipped, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(0, 0, 100 * GIGABYTE))
    needs.check()
