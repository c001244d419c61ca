"""The real programs and images of the lab, as built: what they say they are, and that they run anywhere."""

import pytest
import yaml
from tests.lab.harness import tags

from slipway.events import Event, Events
from slipway.lab import binaries, elf, images
from slipway.lab.binaries import bin_dir
from slipway.lab.builds import FLUX, KUBERNETES, K0s, build_of, needed
from slipway.lab.images import references
from slipway.tools.run import run

ASKED = {
    **{name: ("--version",) for name in KUBERNETES[:-1]},
    "kubectl": ("version", "--client"),
    "etcd": ("--version",),
    "etcdutl": ("version",),
    "containerd": ("--version",),
    "containerd-shim-runc-v2": ("-v",),
    "ctr": ("--version",),
    "helm": ("version", "--short"),
    "coredns": ("-version",),
    "gitea": ("--version",),
}
LATER = {"helper", "local-path-provisioner", "volsync", "openbao", "external-secrets", "podinfo"}
"""Images of later stages than bootstrap, which no lab of these tests has."""


pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("made")]


@pytest.mark.parametrize("name", ASKED)
def test_a_program_says_the_pinned_version(name):
    said = run([bin_dir() / name, *ASKED[name]]).stdout
    assert build_of(name).version.removeprefix("v") in said


@pytest.mark.parametrize("name", [name for build in needed(K0s.STAND_IN) for name in build.names])
def test_a_program_runs_in_any_root_file_system(name):
    assert elf.is_static(bin_dir() / name)


def test_nothing_is_made_twice():
    heard: list[Event] = []
    binaries.ensure([build.name for build in needed(K0s.STAND_IN)], Events(heard.append))
    images.ensure(Events(heard.append))
    assert heard == []


def test_every_image_lies_in_an_archive_under_its_name():
    names = [tag for path in images.ensure(Events()) for tag in tags(path)]
    assert sorted(names) == sorted(reference for name, reference in references().items() if name not in LATER)


def test_the_operator_carries_the_release_of_flux_that_the_controllers_are_of():
    data = binaries.result_dir("flux-operator") / "data"
    release = (data / "flux-images" / "VERSION").read_text().strip()
    wanted = yaml.safe_load((data / "flux-images" / release / "upstream-alpine.yaml").read_text())["images"]
    tags = {each["name"].rpartition("/")[2]: each["newTag"] for each in wanted}
    assert {name: tags[name] for name in FLUX} == {name: references()[name].rpartition(":")[2] for name in FLUX}
