"""The administrator's kubeconfig: fetched from a controller, kept in memory."""

from __future__ import annotations

from slipway.errors import DeployFailed, SlipwayError
from slipway.inventory import Inventory
from slipway.secret import Secret
from slipway.ssh.host import Host
from slipway.ssh.pool import Pool


def fetch(controller: Host) -> Secret:
    """Ask one controller. Its server is the cluster's external address, else that controller's own."""
    return Secret(controller.run(["k0s", "kubeconfig", "admin"]).stdout)


def of(inventory: Inventory, pool: Pool) -> Secret:
    """Ask the controllers one after the other until one answers. Raises DeployFailed with what each said."""
    refused: list[str] = []
    for controller in inventory.controllers:
        try:
            return fetch(pool.host(controller.name))
        except SlipwayError as error:
            refused.append(str(error))
    raise DeployFailed("no controller gives a kubeconfig:\n" + "\n".join(refused), hint="slipway deploy")
