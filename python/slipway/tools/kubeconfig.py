"""The one kubeconfig that kubectl and helm are ever given: made of parts, never of somebody's text.

A kubeconfig can name programs to start (exec), files to send (tokenFile) and proxies to go through, all on the machine
of its reader (Kubernetes, "Organizing Cluster Access Using kubeconfig Files"). Made of a server, certificates and a
key, it can name none.
"""

from __future__ import annotations

import base64
import json
from contextlib import AbstractContextManager

from slipway.secret import Secret

NAME = "slipway"
"""Of its cluster, context and user."""


class Kubeconfig(Secret):
    """A kubeconfig with one cluster and one user. No text becomes one, and kubectl and helm take nothing else.

    `server` is https://HOST:PORT; authority and certificate are certificates, `key` is a private key, all in PEM.
    """

    __slots__ = ()

    def __init__(self, server: str, *, authority: bytes, certificate: bytes, key: bytes) -> None:
        cluster = {"server": server, "certificate-authority-data": _base64(authority)}
        user = {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}
        whole = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": NAME,
            "clusters": [{"name": NAME, "cluster": cluster}],
            "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
            "users": [{"name": NAME, "user": user}],
        }
        super().__init__(json.dumps(whole))

    def for_clients(self) -> AbstractContextManager[str]:
        """A path for KUBECONFIG, as `as_file`; of a Secret that is no Kubeconfig there is none."""
        return self.as_file()


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
