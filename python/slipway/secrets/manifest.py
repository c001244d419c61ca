"""Manifests of kind Secret: the form in which every secret of a repository lies in Git."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from slipway.errors import InvalidInput
from slipway.result import NO_SENSE
from slipway.secret import Secret

Values = Mapping[str, Secret]


@dataclass(frozen=True)
class Manifest:
    """What a Secret says: who it is, and its values as bytes."""

    namespace: str
    name: str
    values: Values

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def kubernetes_secret(namespace: str, name: str, values: Mapping[str, bytes]) -> Secret:
    """A manifest of kind Secret. `data` and not `stringData`: server-side apply then knows what it owns."""
    manifest: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "Opaque",
        "data": {key: base64.b64encode(value).decode() for key, value in values.items()},
    }
    return Secret(json.dumps(manifest))


def written(manifest: Manifest) -> Secret:
    """The same as text."""
    plain = {key: value.reveal() for key, value in manifest.values.items()}
    return kubernetes_secret(manifest.namespace, manifest.name, plain)


def read(plain: Secret, place: Path | str) -> Manifest:
    """What a plaintext manifest says; `stringData` counts above `data`, as for the API server.

    Raises InvalidInput for what is no Secret; nothing of the text is quoted.
    """
    try:
        found = yaml.safe_load(plain.reveal())
        if found["kind"] != "Secret":
            raise ValueError("another kind")
        about = found["metadata"]
        values = {key: base64.b64decode(text, validate=True) for key, text in (found.get("data") or {}).items()}
        values |= {key: text.encode() for key, text in (found.get("stringData") or {}).items()}
        secrets = {str(key): Secret(value) for key, value in values.items()}
        return Manifest(str(about.get("namespace", "")), str(about["name"]), secrets)
    except (yaml.YAMLError, *NO_SENSE):
        # Without the cause: it may hold a part of the text.
        raise InvalidInput(f"{place}: no Secret of Kubernetes with data in base64") from None
