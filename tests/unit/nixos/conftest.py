"""Systems evaluated by the lab's own evaluator, with slipway's modules."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

NIXOS = Path(__file__).parents[3] / "nixos"

MACHINE = """
  networking.hostName = "n1";
  system.stateVersion = "26.05";
  slipway = {
    address = "10.0.0.11";
    ssh.authorizedKeys = [ "ssh-ed25519 AAAA" ];
    network = { interface = "eno1"; prefixLength = 24; };
    k0s.version = "1.36.3+k0s.2";
    k0s.configFile = /etc/hostname;
    cluster = {
      name = "test";
      controllers = [ "10.0.0.11" "10.0.0.12" ];
      nodeNetworks = [ "10.0.0.0/24" "fd00::/64" ];
      podNetworks = [ "10.244.0.0/16" ];
      provider = lib.mkDefault "cilium";
    };
  };
"""

Evaluate = Callable[..., Any]


@pytest.fixture
def evaluate(nix_value: Callable[[str], Any]) -> Evaluate:
    """`evaluate(wanted, role=, more=)`: the value of `wanted`, an expression in `config`, `options` and `lib`."""

    def value(wanted: str, role: str = "controller", more: str = "") -> Any:
        return nix_value(f"""
            let
              lab = import {NIXOS}/lab;
              inherit (lab) lib;
              machine = {{ lib, ... }}: {{ {MACHINE} slipway.role = {json.dumps(role)}; }};
              more = {{ lib, config, pkgs, ... }}: {{ {more} }};
              system = lab.nixosSystem {{ modules = [ {NIXOS}/modules machine more ]; }};
            in
            with system; {wanted}
        """)

    return value
