"""kubelet's configuration, and the Kubernetes API as it sees it, with its own credentials.

A worker has no other ones; and what they may ask (their own node, their own pods) is what the checks need. curl is on
every NixOS, kubectl is not.
"""

from __future__ import annotations

import json
from typing import Any

import yaml

from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun

KUBECONFIG = "/var/lib/k0s/kubelet.conf"
CONFIGURATION = "/run/k0s/kubelet/config.yaml"
"""Where k0s writes kubelet's configuration, root's alone (pkg/component/worker/kubelet.go, 1.34 to 1.36)."""
# The authority is in kubelet.conf and nowhere else on a node before its kubelet runs: workers have no pki/ca.crt since
# k0s 1.33 (cmd/worker/worker.go), and curl takes an authority from a file alone.
GET = (
    "printf %%s %s | base64 -d | curl -sS --max-time 15 --cacert /dev/stdin --cert %s --key %s -w '\\n%%{http_code}' %s"
)
UNREACHED = {6: "no such name", 7: "nobody listens there", 28: "no answer in time", 35: "no TLS", 52: "no answer",
             56: "the connection broke off", 60: "a certificate that the cluster's authority did not sign"}  # fmt: skip
"""curl's exit codes for a server that is not there, or not the one that was meant."""

FLAGS = """file=$(grep -slx kubelet /proc/[0-9]*/comm | head -n 1)
[ -n "$file" ] || exit 3
tr '\\0' '\\n' < "${file%comm}cmdline"
"""
SEE_FLAGS = "tr '\\0' '\\n' < /proc/$(pidof kubelet)/cmdline"
"""The same for a person."""


class KubeletApi:
    """Read from the API.

    >>> KubeletApi(host).get("/api/v1/nodes/w1")["metadata"]["name"]
    'w1'
    """

    def __init__(self, host: NodeHost) -> None:
        self._host = host
        kubeconfig = yaml.safe_load(host.check_output("cat %s", KUBECONFIG))
        cluster = kubeconfig["clusters"][0]["cluster"]
        self.server = str(cluster["server"])
        if "certificate-authority-data" not in cluster:
            raise CannotRun(f"{KUBECONFIG} carries no certificate-authority-data, as k0s's own does")
        user = kubeconfig["users"][0]["user"]
        places = (cluster["certificate-authority-data"], user["client-certificate"], user["client-key"])
        self._credentials = tuple(map(str, places))

    def get(self, path: str) -> dict[str, Any] | None:
        """The object at `path`, None if there is none; CannotRun if the API does not say."""
        said = self._host.check_output(GET, *self._credentials, self.server + path)
        body, _, code = said.rpartition("\n")
        if code == "404":
            return None
        if code != "200":
            raise CannotRun(f"GET {self.server}{path}: HTTP {code}: {body.strip()[:200]}")
        found: dict[str, Any] = json.loads(body)
        return found

    def ask(self, url: str) -> str:
        """What another way to the API answers with these credentials: its words, or why there is no answer of it."""
        answer = self._host.run_expect([0, *UNREACHED], GET, *self._credentials, url)
        if answer.rc:
            return UNREACHED[answer.rc]
        body, _, code = answer.stdout.strip().rpartition("\n")
        return body if code == "200" else f"HTTP {code}: {body.strip()[:200]}"
