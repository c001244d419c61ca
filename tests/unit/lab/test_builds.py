"""The table of builds against the modules that it names."""

import re
import shutil
from pathlib import Path

import pytest

from slipway.lab.binaries import HOST_TOOLS
from slipway.lab.builds import APPS, BASE_APPS, BUILDS, MODULES, Build, K0s, Program, build_of, needed
from slipway.lab.images import BUNDLES, FOR_K0S, wanted_until
from slipway.lab.toolchain import MINIMUM

EACH = pytest.mark.parametrize("build", BUILDS, ids=lambda build: build.name)


@EACH
def test_every_pin_is_in_go_mod(build):
    pins = [program.pin for program in build.programs if program.pin]
    for pin in pins + [part.pin for part in (*build.assets, *build.additions)]:
        assert re.fullmatch(r"v\d+\.\d+\.\d+(-0|-\d{14}-[0-9a-f]{12})?", build.pinned(pin)), pin


@EACH
def test_the_module_is_complete(build):
    required = " v" in (build.module / "go.mod").read_text()
    assert (build.module / "go.sum").exists() or not required


@EACH
def test_no_placeholder_stays_in_the_flags(build):
    assert not set("{}") & set(" ".join(build.flags))


def test_kubernetes_and_helm_are_stamped_with_their_versions():
    assert f"gitVersion={build_of('kube').version} " in build_of("kube").flags[-1]
    assert "gitMajor=1 " in build_of("kube").flags[-1]
    assert build_of("helm").flags[-1].endswith(f"version={build_of('helm').version}")


def test_every_program_has_one_build():
    names = [name for build in BUILDS for name in build.names]
    assert len(names) == len(set(names))
    assert build_of("kubelet").name == "kube"
    assert build_of("flux").name == build_of("helm-controller").name
    with pytest.raises(KeyError):
        build_of("kubectx")


def test_every_module_is_built():
    assert {build.module for build in BUILDS} == {path.parent for path in MODULES.glob("*/go.mod")}


def test_the_toolchain_is_new_enough_for_every_module():
    lines = [re.search(r"^go (\S+)$", (build.module / "go.mod").read_text(), re.MULTILINE) for build in BUILDS]
    assert max(tuple(map(int, line[1].split("."))) for line in lines if line) == MINIMUM


def test_a_replaced_version_is_not_the_required_one(tmp_path):
    (tmp_path / "go.mod").write_text(
        "module example.org/x\n\nrequire (\n\texample.org/a v1.2.3\n\texample.org/b v0.1.0 // indirect\n)\n"
        "replace example.org/a v1.0.0 => example.org/a v9.9.9\n"
    )
    build = Build("x", tmp_path, (Program("x", ".", "example.org/a"),), seconds=1, megabytes=1)
    assert build.version == "v1.2.3"
    assert build.pinned("example.org/b") == "v0.1.0"


def test_the_digest_does_not_depend_on_the_place(tmp_path):
    def digest(folder: Path) -> str:
        shutil.copytree(MODULES / "pause", folder)
        return Build("x", folder, (Program("x", "."),), seconds=1, megabytes=1).digest()

    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def names(kind: K0s) -> set[str]:
    return {build.name for build in needed(kind)}


def test_a_lab_builds_what_its_k0s_needs_and_no_more():
    real = {"konnectivity-agent", "balancer"}
    assert names(K0s.STAND_IN) & {*real, "konnectivity-server"} == set()
    assert names(K0s.BARE) == names(K0s.STAND_IN) - {"k0s"} | real | {"konnectivity-server"}
    brought = {"kube", "etcd", "containerd", "konnectivity-server"}
    assert names(K0s.RELEASED) == names(K0s.BARE) - brought


def test_every_build_has_a_lab_that_needs_it():
    assert set().union(*map(names, K0s)) == {build.name for build in BUILDS} - BASE_APPS - APPS


@pytest.mark.parametrize("kind", K0s)
def test_no_lab_that_ends_with_the_first_stage_builds_what_the_next_one_needs(kind):
    assert {"restic", "seaweedfs", "volsync", "external-secrets"} <= BASE_APPS
    assert not names(kind) & BASE_APPS
    assert {build.name for build in needed(kind, "cluster-base-apps")} == names(kind) | BASE_APPS
    assert {build.name for build in needed(kind, "cluster-apps")} == names(kind) | BASE_APPS | APPS


@pytest.mark.parametrize("kind", K0s)
def test_images_and_the_tools_of_this_machine_are_made_of_what_every_lab_builds(kind):
    images = {build for name in wanted_until("bootstrap") for build in BUNDLES[name].builds}
    assert images | {build_of(name).name for name in HOST_TOOLS.values()} <= names(kind)
    for stage in ("cluster-base-apps", "cluster-apps"):
        later = {build for name in wanted_until(stage) for build in BUNDLES[name].builds}
        assert later <= {build.name for build in needed(kind, stage)}
    if kind is not K0s.STAND_IN:
        assert {build for image in FOR_K0S.values() for build in image.builds} <= names(kind)
