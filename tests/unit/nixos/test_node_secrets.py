"""The examples for secrets of the machines beside slipway's modules, with a fake of the options that they set."""

import re
from pathlib import Path

import pytest
from tests.unit.nixos.conftest import MACHINE, NIXOS

TOP = Path(__file__).parents[3]
EXAMPLES = TOP / "examples" / "node-secrets"
FAKE = Path(__file__).with_name("fake_node_secrets.nix")
HOW_TO = (TOP / "docs" / "how-to" / "node-secrets.md").read_text()
SECRETS = {
    "sops-nix": 'sops.secrets.relay-password = { sopsFile = /etc/hostname; restartUnits = [ "postfix.service" ]; };',
    "agenix": 'age.secrets.relay = { file = /etc/hostname; owner = "postfix"; };',
}  # fmt: skip


@pytest.fixture
def evaluate_beside(nix_value):
    """The value of an expression in `config`, with the example and a secret in a machine of slipway's."""

    def value(kind: str, wanted: str, more: str = ""):
        return nix_value(f"""
            let
              lab = import {NIXOS}/lab;
              machine = {{ lib, ... }}: {{ {MACHINE} slipway.role = "worker"; }};
              own = {{ ... }}: {{ {SECRETS[kind]} {more} }};
              inputs = {{
                sops-nix.nixosModules.sops = {FAKE};
                agenix.nixosModules.default = {FAKE};
              }};
            in
            with lab.nixosSystem {{
              specialArgs = {{ inherit inputs; }};
              modules = [ {NIXOS}/modules machine own {EXAMPLES}/{kind}.nix ];
            }}; {wanted}
        """)

    return value


@pytest.mark.parametrize(
    ("kind", "wanted", "path"),
    [("sops-nix", "config.sops.secrets.relay-password.path", "/run/secrets/relay-password"),
     ("agenix", "config.age.secrets.relay.path", "/run/agenix/relay")],
)  # fmt: skip
def test_a_machine_with_a_secret_of_its_own_still_builds(evaluate_beside, kind, wanted, path):
    assert evaluate_beside(kind, wanted) == path
    assert evaluate_beside(kind, "config.system.build.toplevel.drvPath").endswith(".drv")


@pytest.mark.parametrize(
    ("kind", "option"), [("sops-nix", "config.sops.age.sshKeyPaths"), ("agenix", "config.age.identityPaths")]
)
def test_it_is_decrypted_with_the_host_key_that_sshd_has(evaluate_beside, kind, option):
    assert evaluate_beside(kind, option) == ["/etc/ssh/ssh_host_ed25519_key"]


def test_an_option_that_there_is_not_is_refused(evaluate_beside):
    with pytest.raises(AssertionError, match="sopsfile"):
        evaluate_beside("sops-nix", "config.sops.secrets.b.path", "sops.secrets.b.sopsfile = /etc/hostname;")


@pytest.mark.parametrize("kind", SECRETS)
def test_the_how_to_tells_of_the_example(kind):
    assert f"examples/node-secrets/{kind}.nix" in HOW_TO


def test_the_how_to_s_paths_are_what_the_modules_give():
    assert set(re.findall(r"/run/(?:secrets|agenix)/[a-z-]+", HOW_TO)) == {
        "/run/secrets/relay-password",
        "/run/agenix/relay",
    }
