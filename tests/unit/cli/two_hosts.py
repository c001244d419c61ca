"""An inventory of two machines that are looked for at a real sshd."""

from pathlib import Path

from tests.unit.conftest import Sshd

INVENTORY = """
apiVersion: slipway/v1
cluster:
  name: test
  k0s: {{version: 1.36.3+k0s.2}}
defaults:
  ssh:
    authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBMF0e4Tlc2bbCEyA5LWyFv5fB6qQTfJ8cAHrtK5Yqm test]
    user: {user}
    port: {port}
  network: {{interface: eth0, prefixLength: 24}}
hosts:
  cp1: {{address: 10.0.0.11, role: controller}}
  w1: {{address: 10.0.0.21, role: worker}}
"""


def write(folder: Path, sshd: Sshd) -> None:
    (folder / "inventory.yaml").write_text(INVENTORY.format(user=sshd.endpoint.user, port=sshd.port))
