"""The installer of a repository in NixOS itself: `make check-nixos NIXPKGS=PATH`."""

from __future__ import annotations

import pytest
from tests.nixpkgs.test_agreement import EXAMPLES, NIXOS, _argument, evaluated

from slipway.generate import tree
from slipway.inventory import load


@pytest.fixture(scope="module")
def installer(tmp_path_factory, pytestconfig):
    nixpkgs, packages = pytestconfig.getoption("--nixpkgs"), pytestconfig.getoption("--nixpkgs-packages")
    if not nixpkgs:
        pytest.skip("no checkout of nixpkgs: make check-nixos NIXPKGS=PATH")
    root = tmp_path_factory.mktemp("homelab")
    for path, content in tree.render(load(EXAMPLES / "homelab")).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    pkgs = f"pkgs = {_argument('pkgs', packages, nixpkgs)};" if packages else ""
    return evaluated(f"import {NIXOS}/tests/installer.nix {{ nixpkgs = {nixpkgs}; root = {root}; {pkgs} }}")


def test_it_lets_those_in_whom_the_nodes_let_in(installer):
    keys = {key for host in load(EXAMPLES / "homelab").hosts for key in host.ssh.authorized_keys}
    assert set(installer["keys"]) == keys
    assert installer["asksForPasswords"] is False
    assert installer["startsSshd"] == ["multi-user.target"]


def test_slipway_takes_it_for_an_installer(installer):
    """probe.sh reads VARIANT_ID."""
    assert installer["variant"] == "installer"


def test_its_console_shows_what_is_to_be_compared(installer):
    assert "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub" in installer["issue"]
    assert "slipway install NODE" in installer["issue"]
