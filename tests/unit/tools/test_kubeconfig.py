"""What kubectl and helm are given: a kubeconfig made of parts, which can name no program and no file."""

import inspect
import json
from pathlib import Path
from types import ModuleType
from typing import get_type_hints

import pytest

from slipway.secret import Secret
from slipway.tools import helm, kubectl
from slipway.tools.kubeconfig import Kubeconfig

HOSTILE = {"name": "u", "user": {"exec": {"command": "sh"}, "tokenFile": "/etc/shadow"}}


def takers() -> dict[str, type]:
    """Every function of both programs that is given a kubeconfig, and the type that it wants."""
    modules: tuple[ModuleType, ...] = (kubectl, helm)
    functions = [each for module in modules for _, each in inspect.getmembers(module, inspect.isfunction)]
    hints = {f"{each.__module__}.{each.__name__}": get_type_hints(each) for each in functions}
    return {name: found["kubeconfig"] for name, found in hints.items() if "kubeconfig" in found}


def test_every_call_of_both_programs_wants_one_made_of_parts():
    assert {"slipway.tools.kubectl.kubectl", "slipway.tools.helm.helm"} < set(takers())
    assert set(takers().values()) == {Kubeconfig}


@pytest.mark.parametrize("call", [kubectl.kubectl, helm.helm])
def test_a_kubeconfig_that_nobody_took_apart_starts_no_program(call, tmp_path, monkeypatch):
    for name in ("kubectl", "helm"):
        (tmp_path / name).write_text("#!/bin/sh\ntouch ${0%/*}/started\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(AttributeError):
        call(Secret(json.dumps({"users": [HOSTILE]})), "get")
    assert not Path(tmp_path / "started").exists()
    call(Kubeconfig("https://10.0.0.10:6443", authority=b"a", certificate=b"c", key=b"k"), "get")
    assert Path(tmp_path / "started").exists()


def test_no_part_becomes_anything_else():
    """Whatever is given as a part stays in its field."""
    evil = json.dumps(HOSTILE)
    whole = json.loads(Kubeconfig(evil, authority=evil.encode(), certificate=b"\n", key=b'"}]').reveal())
    (cluster,), (user,), (context,) = whole["clusters"], whole["users"], whole["contexts"]
    assert set(cluster["cluster"]) == {"server", "certificate-authority-data"}
    assert set(user["user"]) == {"client-certificate-data", "client-key-data"}
    assert context["context"] == {"cluster": cluster["name"], "user": user["name"]}
    assert set(whole) == {"apiVersion", "kind", "current-context", "clusters", "contexts", "users"}
