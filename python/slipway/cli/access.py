"""`slipway open`: a page or an API of the cluster on a port of this machine."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Annotated

import typer

from slipway.cli.console import say, tell
from slipway.cli.options import INVENTORY, InventoryOption
from slipway.cluster import kubeconfig
from slipway.errors import PrerequisiteMissing
from slipway.inventory import load
from slipway.secrets import store
from slipway.ssh.pool import Pool
from slipway.stages.repository import Backend, ready_pods
from slipway.tools.kubeconfig import Kubeconfig

LONGEST = 8 * 3600.0
"""Seconds after which a tunnel that somebody forgot ends by itself."""


class What(StrEnum):
    GITEA = "gitea"
    FORGEJO = "forgejo"
    OPENBAO = "openbao"


SERVICES = {
    What.GITEA: (("gitea", "gitea-http"),),
    # People's own first, then the one that Flux reads, where that is a Forgejo.
    What.FORGEJO: (("forgejo", "forgejo-http"), ("forgejo-seed", "forgejo-seed-http")),
    What.OPENBAO: (("openbao", "openbao"),),
}
"""Namespace and name of the Services, the first that has a ready pod counts."""
SIGN_IN = {
    What.GITEA: f"user {store.GITEA_USER}; the password: sops decrypt {store.GITEA_ADMIN}",
    What.FORGEJO: f"user {store.GITEA_USER} at the one that Flux reads; the password: sops decrypt {store.GITEA_ADMIN}",
    What.OPENBAO: "sign in with a token or as your users do; BAO_ADDR names it for the program bao",
}


def open_(
    what: Annotated[What, typer.Argument(help="gitea, forgejo or openbao.", metavar="WHAT")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on this machine.", show_default="a free one")] = 0,
    seconds: Annotated[
        float, typer.Option("--for", min=1, help="End by itself after that time.", metavar="SECONDS")
    ] = LONGEST,
    inventory_file: InventoryOption = INVENTORY,
) -> None:
    """Reach a page or an API of the cluster on a port of this machine, through SSH, until Ctrl-C.

    The address goes to standard output, so that a script can take it.

    Example: slipway open gitea --port 3000
    """
    inventory = load(inventory_file)
    with Pool.of(inventory) as pool:
        at = _backend(inventory.cluster.name, what, pool, kubeconfig.of(inventory, pool))
        with pool.tunnel(at.node, at.address, at.port, here=port) as tunnel:
            tell(f"http://127.0.0.1:{tunnel.port}")
            say(f"{what} on {at.node}, until Ctrl-C; {SIGN_IN[what]}")
            time.sleep(seconds)


def _backend(cluster: str, what: What, pool: Pool, config: Kubeconfig) -> Backend:
    for namespace, service in SERVICES[what]:
        ready = [each for each in ready_pods(config, namespace, service) if each.node in pool.endpoints]
        if ready:
            return ready[0]
    raise PrerequisiteMissing(f"{what}: no ready pod in the cluster {cluster}", hint="slipway status --failing")
