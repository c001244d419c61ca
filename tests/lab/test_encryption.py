"""Secrets lie encrypted in the etcd of a real cluster."""

from __future__ import annotations

import pytest
from tests.lab.harness import Cluster

pytestmark = pytest.mark.lab

MARK = "seen-by-whoever-has-the-disk"
FIND = "grep --recursive --files-with-matches --text --fixed-strings {text} /var/lib/k0s/etcd || true"


@pytest.fixture
def stored(cluster: Cluster):
    """The same text in a Secret and in a ConfigMap."""
    cluster.kubectl("create", "secret", "generic", "at-rest", f"--from-literal=value={MARK}-secret")
    cluster.kubectl("create", "configmap", "at-rest", f"--from-literal=value={MARK}-configmap")
    yield cluster
    cluster.kubectl("delete", "secret,configmap", "at-rest")


def test_a_secret_lies_encrypted_in_etcd(stored):
    assert stored.sh("cp1", FIND.format(text=f"{MARK}-secret")) == ""
    assert stored.sh("cp1", FIND.format(text="k8s:enc:secretbox:v1:slipway:")) != ""


def test_control_what_is_not_encrypted_is_found(stored):
    assert stored.sh("cp1", FIND.format(text=f"{MARK}-configmap")) != ""


def test_the_key_is_the_api_server_s_alone(cluster):
    said = cluster.sh("cp1", "stat --format='%a %U' /etc/k0s/encryption.json").split()
    assert said == ["400", "kube-apiserver"]
