"""The program kubectl. Every call takes a Kubeconfig, which is made of parts; manifests go in by standard input."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slipway.result import NO_SENSE, CommandFailed, CommandResult, OddAnswer
from slipway.secret import Secret
from slipway.tools.kubeconfig import Kubeconfig
from slipway.tools.run import run

FIELD_MANAGER = "slipway"
REQUEST_TIMEOUT = 30.0
"""Seconds for one request to the API server."""

EVERY = "*"
"""For `get`: in all namespaces."""

_GRACE = 15.0
"""Seconds on top, for starting the program and looking up the kinds of the API."""

# What helm (pkg/kube/client.go, IsReachable, before it does anything) and kubectl (pkg/cmd/util/helpers.go) say where
# no request came to the API server; in small letters.
_UNREACHED = (
    "kubernetes cluster unreachable",
    "unable to connect to the server",
    "was refused - did you specify the right host or port",
)
# Of client-go, of the Go library's connections below it, and of an API server that starts or has lost its etcd.
_UNANSWERED = (
    "connection refused",
    "connection reset by peer",
    "no route to host",
    "i/o timeout",
    "TLS handshake timeout",
    "http2: client connection lost",
    "unexpected EOF",
    "Client.Timeout exceeded",
    "context deadline exceeded",
    "apiserver not ready",
    "the server is currently unable to handle the request",
    "etcdserver: ",
)

# Kind, namespace, name and resource version of one object, or of every object of a list.
_OBJECT = '{{.kind}} {{with .metadata}}{{or .namespace "-"}} {{.name}} {{.resourceVersion}}{{end}}{{"\\n"}}'
_OBJECTS = (
    f"{{{{if .items}}}}{{{{range .items}}}}{_OBJECT}{{{{end}}}}{{{{else if .metadata.name}}}}{_OBJECT}{{{{end}}}}"
)


def kubectl(
    kubeconfig: Kubeconfig,
    *words: str,
    input: bytes | Secret | None = None,
    timeout: float = REQUEST_TIMEOUT,
    check: bool = True,
) -> CommandResult:
    """Run `kubectl WORDS`; `timeout` in seconds bounds each request, and with some grace the whole call."""
    with kubeconfig.for_clients() as path:
        argv = ["kubectl", "--kubeconfig", path, f"--request-timeout={timeout:g}s", *words]
        return run(argv, input=input, timeout=timeout + _GRACE, check=check)


def unreached(error: CommandFailed) -> bool:
    """Whether kubectl or helm ended because it could not reach the API server, and so changed nothing there."""
    said = error.result.stderr.lower()
    return any(words in said for words in _UNREACHED)


def unanswered(error: CommandFailed) -> bool:
    """Whether the API server did not answer kubectl or helm, or went away before all was said. Both say it in words
    alone; what was asked for may have been done."""
    said = error.result.stderr
    return unreached(error) or any(words in said for words in _UNANSWERED)


def get(
    kubeconfig: Kubeconfig, kind: str, name: str = "", *, namespace: str = "", selector: str = ""
) -> dict[str, Any]:
    """The object `name`, or a list of objects; {} where the object, or its kind, does not exist."""
    words = ["get", kind, *([name] if name else []), "--ignore-not-found", "--output=json"]
    words += ["--all-namespaces"] if namespace == EVERY else [f"--namespace={namespace}"] if namespace else []
    words += [f"--selector={selector}"] if selector else []
    try:
        text = kubectl(kubeconfig, *words).stdout
    except CommandFailed as failed:
        if "the server doesn't have a resource type" in failed.result.stderr:
            return {}
        raise
    return _parsed(text, f"kubectl get {' '.join(filter(None, (kind, name)))}")


def _parsed(text: str, question: str) -> dict[str, Any]:
    """The object in it, {} for none. Nothing of it is quoted where it makes no sense: Secrets come this way, too."""
    try:
        found = json.loads(text) if text.strip() else {}
    except NO_SENSE as error:
        raise OddAnswer("the API server", question, None, type(error).__name__) from None
    if not isinstance(found, dict):
        raise OddAnswer("the API server", question, None, f"no object but {type(found).__name__}")
    return found


def patch(kubeconfig: Kubeconfig, kind: str, name: str, change: dict[str, Any], *, namespace: str = "") -> None:
    """Merge `change` into the object (RFC 7386); with a resourceVersion in it only if the object still has that one.

    Raises CommandFailed, with "the object has been modified" in what it said if it has not.
    """
    words = ["patch", kind, name, "--type=merge", f"--patch={json.dumps(change)}", "--output=name"]
    kubectl(kubeconfig, *words, *([f"--namespace={namespace}"] if namespace else []))


def delete(kubeconfig: Kubeconfig, kind: str, name: str, *, namespace: str) -> None:
    """Ask for an object to go, if it is there; does not wait until it is gone."""
    kubectl(kubeconfig, "delete", kind, name, f"--namespace={namespace}", "--ignore-not-found", "--wait=false")


def apply(
    kubeconfig: Kubeconfig,
    manifests: bytes | Secret,
    *,
    timeout: float = REQUEST_TIMEOUT,
    manager: str = FIELD_MANAGER,
    force: bool = False,
) -> Sequence[str]:
    """Apply server-side; return `KIND NAMESPACE NAME VERSION` of each object. A version stays if nothing changed.

    `manager` owns the fields that are set, and takes them from others if `force`.
    """
    words = ["apply", "--server-side", f"--field-manager={manager}", "--filename=-"]
    words += ["--force-conflicts"] if force else []
    return _objects(kubectl(kubeconfig, *words, f"--output=go-template={_OBJECTS}", input=manifests, timeout=timeout))


def differs(kubeconfig: Kubeconfig, manifests: bytes | Secret, *, manager: str = FIELD_MANAGER) -> bool:
    """Whether `apply` with force would change anything; changes nothing."""
    words = ["diff", "--server-side", "--force-conflicts", f"--field-manager={manager}", "--filename=-"]
    result = kubectl(kubeconfig, *words, input=manifests, check=False)
    # What it prints are the differences, of Secrets too; only that there are some is of interest.
    if result.exit_code in (0, 1):
        return result.exit_code == 1
    raise CommandFailed(result)


def versions(kubeconfig: Kubeconfig, manifests: bytes | Secret) -> Sequence[str]:
    """The objects of these manifests that exist, as `apply` tells them; [] while a kind of them does not."""
    words = ["get", "--ignore-not-found", "--filename=-", f"--output=go-template={_OBJECTS}"]
    result = kubectl(kubeconfig, *words, input=manifests, check=False)
    if result.ok:
        return _objects(result)
    if "no matches for kind" in result.stderr:
        return []
    raise CommandFailed(result)


def existing(kubeconfig: Kubeconfig, manifests: bytes | Secret) -> Sequence[dict[str, Any]]:
    """Kind and metadata of those of the manifests that the cluster has; [] while it does not know a kind of them."""
    words = ["get", "--ignore-not-found", "--filename=-", "--output=json"]
    result = kubectl(kubeconfig, *words, input=manifests, check=False)
    if not result.ok and "no matches for kind" in result.stderr:
        return []
    if not result.ok:
        raise CommandFailed(result)
    found = _parsed(result.stdout, "kubectl get")
    try:
        items = found.get("items", [found] if found else [])
        return [{"kind": item["kind"], "metadata": item["metadata"]} for item in items]
    except NO_SENSE as error:
        raise OddAnswer("the API server", "kubectl get", None, type(error).__name__) from None


def kustomize(folder: Path) -> str:
    """The manifests that the kustomization in `folder` makes, as YAML. Asks no cluster."""
    return run(["kubectl", "kustomize", str(folder)], timeout=REQUEST_TIMEOUT).stdout


def _objects(result: CommandResult) -> Sequence[str]:
    return [line for line in result.stdout.splitlines() if line.strip()]
