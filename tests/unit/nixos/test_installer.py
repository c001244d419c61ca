"""Which keys the installer of a flake knows. NixOS itself takes it in tests/nixpkgs."""

from pathlib import Path

import pytest

NIXOS = Path(__file__).parents[3] / "nixos"
HOST = "{ slipway = { ssh = { authorizedKeys = [ %s ]; }; }; }\n"


@pytest.fixture
def repository(tmp_path):
    hosts = {"cp1": '"ssh-ed25519 AAAAme" "ssh-ed25519 AAAAyou"', "w1": '"ssh-ed25519 AAAAme"'}
    for name, keys in hosts.items():
        (tmp_path / "generated" / "hosts" / name).mkdir(parents=True)
        (tmp_path / "generated" / "hosts" / name / "default.nix").write_text(HOST % keys)
    (tmp_path / "generated" / "hosts" / "w2").mkdir()
    (tmp_path / "generated" / "hosts" / "w2" / "default.nix").write_text("{ slipway = { }; }\n")
    index = "".join(f"{name} = ./hosts/{name}; " for name in (*hosts, "w2"))
    (tmp_path / "generated" / "hosts.nix").write_text(f"{{ {index} }}\n")
    return tmp_path


def test_every_key_of_the_inventory_is_in_it_once(nix_value, repository):
    """nixosSystem is a fake that shows what it was given."""
    lib = f"(import {NIXOS}/lab/lib)"
    given = nix_value(
        f'(import {NIXOS}/lib/installer.nix {{ nixpkgs = /nowhere; root = {repository}; system = "aarch64-linux"; '
        f"lib = {lib}; nixosSystem = given: builtins.elemAt given.modules 2; }})"
    )
    assert given["slipway"]["installer"]["authorizedKeys"] == ["ssh-ed25519 AAAAme", "ssh-ed25519 AAAAyou"]
    assert given["nixpkgs"]["hostPlatform"] == "aarch64-linux"


def test_the_flake_offers_it_without_looking_at_nixpkgs(nix_value, repository):
    """`nix flake show` of a repository of the lab, which has no nixpkgs."""
    forall = '(f: { x86_64-linux = f "x86_64-linux" { }; })'
    offered = nix_value(
        f'builtins.attrNames (import {NIXOS}/lib/commands.nix {{ self = throw "self"; nixpkgs = throw "nixpkgs"; '
        f'root = {repository}; forAll = {forall}; tools = throw "tools"; machines = throw "machines"; '
        "}).packages.x86_64-linux"
    )
    assert offered == ["installer"]
