"""A user's flake over slipway's own, offline: with the lab's evaluator nothing of nixpkgs or disko is fetched."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from slipway.generate import skeleton, tree
from slipway.inventory import load
from slipway.lab.repository import programs

EXAMPLE = Path(__file__).parents[3] / "examples" / "homelab" / "inventory.yaml"


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository for the homelab example whose machines have the lab's evaluator."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        flake = skeleton.Flake(f"path:{skeleton.stage_flake(programs())}", lab=True)
    root = tmp_path_factory.mktemp("repository")
    (root / "inventory.yaml").write_bytes(EXAMPLE.read_bytes())
    skeleton.write(root, skeleton.files("homelab", flake), flake)
    for path, content in tree.render(load(root)).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    git(root, "init", "--quiet")
    git(root, "add", "--intent-to-add", ".")
    return root


def git(root: Path, *words: str) -> None:
    subprocess.run(["git", "-C", str(root), *words], check=True)


def toplevels(*names: str) -> list[str]:
    return [f".#nixosConfigurations.{name}.config.system.build.toplevel" for name in names]


NAMES = ("cp1", "cp2", "cp3", "w1", "w2", "w3")


@pytest.fixture(scope="module")
def systems(nix, repository):
    """Toplevels by host, built in one call, in Nix's sandbox, which no repository may turn off."""
    sandboxed = ("--option", "sandbox", "true")
    built = json.loads(nix("nix", "build", "--json", "--no-link", *sandboxed, *toplevels(*NAMES), cwd=repository))
    return {name: Path(entry["outputs"]["out"]) for name, entry in zip(NAMES, built, strict=True)}


def test_builds_of_the_lab_start_with_a_shell_of_its_flake(nix, repository):
    """Where the kernel has no sandbox, Nix builds without one: this holds there too."""
    (built,) = json.loads(nix("nix", "show-derivation", *toplevels("w1"), cwd=repository)).values()
    assert built["builder"].endswith("-programs/busybox")
    assert "PATH" not in built["env"]


def test_every_host_is_built(systems, repository):
    for name, system in systems.items():
        assert system.name.rpartition("-")[2] == name
        assert (system / "nixos-version").read_text() == "slipway lab 26.05\n"
        assert (system / "etc/hostname").read_text() == f"{name}\n"
        assert (system / "etc/systemd/system/k0s.service").exists()
        assert (system / "sw/bin/k0s").readlink().name == "k0s"
    k0s_yaml = (systems["cp1"] / "etc/k0s/k0s.yaml").readlink()
    assert k0s_yaml.read_bytes() == (repository / "generated/hosts/cp1/k0s.yaml").read_bytes()


@pytest.mark.parametrize("script", ["activate", "pre-switch-checks", "bin/switch-to-configuration"])
def test_the_scripts_of_a_system_are_shell(systems, script):
    subprocess.run(["bash", "-n", str(systems["cp1"] / script)], check=True)


def test_modules_of_the_user_count_where_they_exist(nix, repository, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(repository, root)
    (root / "hosts").mkdir()
    (root / "modules").mkdir()
    (root / "hosts/w1.nix").write_text('{ slipway.k0s.labels.mine = "yes"; }')
    (root / "modules/all.nix").write_text('{ networking.domain = "example.org"; }')
    (root / "modules/notes.txt").write_text("no module")
    git(root, "add", "--intent-to-add", ".")

    def value(attribute: str) -> object:
        return json.loads(nix("nix", "eval", "--json", f".#nixosConfigurations.{attribute}", cwd=root))

    assert value("w1.config.slipway.k0s.labels") == {"mine": "yes"}
    assert value("w2.config.slipway.k0s.labels") == {"example.org/storage": "true"}
    assert value("w2.config.networking.domain") == "example.org"


def test_a_repository_without_generated_files_says_what_to_do(nix, repository, tmp_path):
    root = tmp_path / "copy"
    shutil.copytree(repository, root, ignore=shutil.ignore_patterns("generated", ".git"))
    git(root, "init", "--quiet")
    git(root, "add", "--intent-to-add", ".")
    with pytest.raises(AssertionError, match="run `slipway generate`"):
        nix("nix", "eval", "--json", ".#nixosConfigurations", "--apply", "builtins.attrNames", cwd=root)


PAGE = Path(__file__).parents[3] / "docs/how-to/several-clusters.md"
SMALL = """\
apiVersion: slipway/v1
cluster: {name: %(name)s, k0s: {version: 1.36.3+k0s.2}}
defaults: {network: {interface: host0, prefixLength: 24, gateway: 10.0.0.1}}
hosts:
  %(name)s-cp1: {address: 10.0.0.11, role: controller+worker}
"""


def test_several_clusters_in_one_flake(nix, repository, tmp_path):
    """The flake of the how-to, with the evaluator of the lab; slipway asks for a cluster from its own folder."""
    (flake,) = re.findall(r"^```nix\n(.*?)^```", PAGE.read_text(), re.S | re.M)
    (url,) = re.findall(r'"(path:[^"]+)"', (repository / "flake.nix").read_text())
    flake = re.sub(r"  inputs\..*\n", "", flake).replace("{\n", f'{{\n  inputs.slipway.url = "{url}";\n', 1)
    for name in ("home", "lab"):
        root = tmp_path / "clusters" / name
        root.mkdir(parents=True)
        (root / "inventory.yaml").write_text(SMALL % {"name": name})
        flake = flake.replace(f"./clusters/{name};", f"./clusters/{name}; inherit (slipway.lib.lab) nixosSystem;")
        for path, content in tree.render(load(root)).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(content)
    (tmp_path / "flake.nix").write_text(flake)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--intent-to-add", ".")
    for name in ("home", "lab"):
        folder = tmp_path / "clusters" / name
        attribute = f"{folder}#nixosConfigurations.{name}-cp1.config.networking.hostName"
        assert json.loads(nix("nix", "eval", "--json", attribute, cwd=tmp_path)) == f"{name}-cp1"
