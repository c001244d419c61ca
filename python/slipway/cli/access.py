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
from slipway.generate.gitops.secrets import BY_NAME, FORGEJO_USER
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
_GIT_SERVER = f"user {store.GITEA_USER}; the password: {store.to_see_the_password(store.GITEA_ADMIN)}"
SIGN_IN = {
    "gitea": _GIT_SERVER,
    "forgejo-seed": _GIT_SERVER,
    "forgejo": f"user {FORGEJO_USER}; the password: {store.to_see_the_password(BY_NAME['forgejo-admin'].file)}",
    "openbao": "method userpass, "
    f"user admin; the password: {store.to_see_the_password(BY_NAME['openbao-admin'].file)}; "
    "for the program bao: BAO_ADDR=ADDRESS bao login -method=userpass username=admin",
}
"""How a person gets in, by the namespace."""


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
        namespace, at = _backend(inventory.cluster.name, what, pool, kubeconfig.of(inventory, pool))
        with pool.tunnel(at.node, at.address, at.port, here=port) as tunnel:
            address = f"http://127.0.0.1:{tunnel.port}"
            tell(address)
            say(f"{what} on {at.node}, until Ctrl-C; {SIGN_IN[namespace].replace('ADDRESS', address)}")
            time.sleep(seconds)


def _backend(cluster: str, what: What, pool: Pool, config: Kubeconfig) -> tuple[str, Backend]:
    """The namespace, and a pod there that answers."""
    for namespace, service in SERVICES[what]:
        ready = [each for each in ready_pods(config, namespace, service) if each.node in pool.endpoints]
        if ready:
            return namespace, ready[0]
    raise PrerequisiteMissing(f"{what}: no ready pod in the cluster {cluster}", hint="slipway status --failing")
