"""The trees that slipway generates keep the law: in every mode, with every choice, as the files say."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from slipway.generate import gitops
from slipway.inventory import load
from slipway.stages import law
from slipway.stages.law import layout

BACKUP = {"repository": "s3:https://s3.example.org/backups"}
PUBLISHED: dict[str, Any] = {
    "gateway": {"enabled": "true", "domain": "example.org"},
    "loadBalancer": {"pools": ["10.0.0.200/29"]},
    "certManager": {"enabled": "true", "email": "a@example.org"},
    "externalDns": {"enabled": "true"},
    "registryMirror": "true",
}
CASES: dict[str, dict[str, Any]] = {
    **{mode: {"mode": mode, "backup": BACKUP} for mode in ("install", "restore", "restore-only", "none")},
    "published": {
        **PUBLISHED, "mode": "install", "backup": BACKUP, "monitoring": "prometheus", "cloudNativePg": "true",
    },
    "forgejo as first server": {"gitServer": {"kind": "forgejo"}, "monitoring": "victoria-metrics"},
    "gitlab 9.11 on zfs": {**PUBLISHED, "codeHosting": {"kind": "gitlab"}, "storage": {"provider": "zfs", "pool": "a"}},
    "gitlab 10 on lvm": {
        "codeHosting": {"kind": "gitlab", "gitlab": "10"}, "storage": {"provider": "lvm", "pool": "a"},
        "mode": "restore", "backup": BACKUP, "cloudNativePg": "true",
    },
    "another git": {"source": {"kind": "git", "url": "https://git.example.org/a.git"}},
    "an artifact": {"source": {"kind": "oci", "url": "oci://registry.example.org/a"}, "codeHosting": {"kind": "none"}},
    "a bucket": {"source": {"kind": "bucket", "url": "https://s3.example.org/a"}, "defaultDeny": "false"},
}  # fmt: skip
INVENTORY = """\
apiVersion: slipway/v1
cluster: {name: small, k0s: {version: 1.36.3+k0s.2}, network: {provider: PROVIDER}}
defaults:
  ssh: {authorizedKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJBF5Ci2hsdUcOIYQVjmoPaRKAe5XBmJnYwZk7TeDx3f a@b]}
  network: {interface: eno1, prefixLength: 24}
hosts:
  cp1: {address: 10.0.0.11, role: controller}
  w1: {address: 10.0.0.21, role: worker}
"""


def write(root: Path, stages: dict[str, Any], provider: str = "cilium") -> None:
    text = INVENTORY.replace("PROVIDER", provider) + yaml.safe_dump({"stages": stages})
    (root / "inventory.yaml").write_text(text)
    for path, content in gitops.render(load(root)).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)


def breaches(root: Path) -> list[str]:
    return [str(breach) for breach in law.lint(layout.of(root)).breaches]


@pytest.mark.parametrize("stages", CASES.values(), ids=CASES)
def test_it_is_kept(tmp_path, stages):
    write(tmp_path, stages)
    assert breaches(tmp_path) == []


def test_it_is_kept_with_another_network(tmp_path):
    write(tmp_path, CASES["install"], "kuberouter")
    assert breaches(tmp_path) == []


def test_control_a_base_app_that_leans_on_the_gateway_is_found(tmp_path):
    write(tmp_path, CASES["published"])
    route = tmp_path / "gitops/cluster-apps/exposure/app/routes.yaml"
    app = tmp_path / "gitops/cluster-base-apps/openbao/app"
    (app / "routes.yaml").write_text(route.read_text())
    build = app / "kustomization.yaml"
    build.write_text(build.read_text().replace("resources:\n", "resources:\n- routes.yaml\n"))
    assert any("slipway" in each and "cluster-apps" in each for each in breaches(tmp_path))
