"""The syntax of Kubernetes: names, labels, taints. Validators return the text or raise ValueError for people."""

from __future__ import annotations

import re
from functools import lru_cache

from slipway.inventory.syntax import Syntax, literally, one_of

LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
DNS_LABEL = Syntax("DNS label", LABEL)
DNS_NAME = Syntax("DNS name", rf"{LABEL}(\.{LABEL})*\.?", longest=253)


def slug(text: str) -> str:
    """`text` bent into a DNS label: the likely fix for a name that is not one."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-")


@lru_cache(maxsize=65536)
def dns_label(text: str) -> str:
    if DNS_LABEL.fits(text):
        return text
    meant = slug(text)
    fix = f"; did you mean {meant}?" if meant else ""
    raise ValueError(f"{text!r} is not a DNS label (a-z, 0-9 and '-', at most 63){fix}")


@lru_cache(maxsize=1024)
def dns_name(text: str) -> str:
    if not DNS_NAME.fits(text):
        raise ValueError(f"{text!r} is not a DNS name (labels of a-z, 0-9 and '-', joined by dots)")
    return text.removesuffix(".")


_NAME = "[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_PREFIX = rf"(?=[^/]{{1,253}}/){LABEL}(\.{LABEL})*"
QUALIFIED = f"({_PREFIX}/)?{_NAME}"
LABEL_VALUE = Syntax("label value", f"({_NAME})?")
KUBELET_MAY_SET = (
    "kubernetes.io/hostname",
    "kubernetes.io/arch",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
)
_KUBELETS_OWN = ("kubelet.kubernetes.io", "node.kubernetes.io")
LABEL_KEY = Syntax(
    "label key",
    one_of(
        *map(literally, KUBELET_MAY_SET),
        rf"(?=[^/]{{1,253}}/)({LABEL}\.)*{one_of(*map(literally, _KUBELETS_OWN))}/{_NAME}",
        rf"(?!([a-z0-9-]+\.)*(kubernetes|k8s)\.io/){QUALIFIED}",
    ),
)
TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
TAINT = Syntax("key=value:Effect", f"{QUALIFIED}(=({_NAME})?)?:{one_of(*TAINT_EFFECTS)}")


def _require_qualified(text: str) -> None:
    """Kubernetes' syntax of label and taint keys: an optional DNS prefix and '/', then a name of at most 63."""
    if re.fullmatch(QUALIFIED, text):
        return
    prefix, slash, _ = text.rpartition("/")
    if slash and (not prefix or "/" in prefix or len(prefix) > 253):
        raise ValueError(f"{text!r}: at most one '/', after a DNS name")
    if slash:
        dns_name(prefix)
    raise ValueError(f"{text!r} is not a key as Kubernetes has it: letters, digits, '-', '_', '.', at most 63")


@lru_cache(maxsize=4096)
def label_key(text: str) -> str:
    _require_qualified(text)
    prefix = text.rpartition("/")[0]
    if re.search(r"(^|\.)(kubernetes|k8s)\.io$", prefix) and not _kubelet_may_set(text, prefix):
        raise ValueError(f"{text!r} is reserved: kubelet refuses to start with it; take a prefix of your own")
    return text


def _kubelet_may_set(key: str, prefix: str) -> bool:
    """What kubelet's --node-labels accepts of Kubernetes' own names (NodeRestriction admission)."""
    return key in KUBELET_MAY_SET or any(prefix == name or prefix.endswith(f".{name}") for name in _KUBELETS_OWN)


@lru_cache(maxsize=65536)
def label_value(text: str) -> str:
    if LABEL_VALUE.fits(text):
        return text
    if len(text) > 63:
        raise ValueError(f"{text!r} has {len(text)} characters, a label value at most 63")
    raise ValueError(f"{text!r} is not a label value: letters, digits, '-', '_', '.', first and last a letter or digit")


@lru_cache(maxsize=4096)
def taint(text: str) -> str:
    key_and_value, colon, effect = text.rpartition(":")
    if not colon:
        raise ValueError(f"{text!r} is not a taint like key=value:NoSchedule; the effect is missing")
    if effect not in TAINT_EFFECTS:
        meant = next((known for known in TAINT_EFFECTS if known.lower() == effect.lower()), "")
        fix = f"; did you mean {meant}?" if meant else ""
        raise ValueError(f"{text!r}: {effect!r} is none of {', '.join(TAINT_EFFECTS)}{fix}")
    key, _, value = key_and_value.partition("=")
    _require_qualified(key)
    label_value(value)
    return text
