"""Addresses of OCI registries. `oci+http://` is ours, for one without TLS, for which Helm and Flux have an option."""

from __future__ import annotations

SCHEME, PLAIN = "oci://", "oci+http://"


def is_registry(address: str) -> bool:
    return address.startswith((SCHEME, PLAIN))


def is_plain(address: str) -> bool:
    """Whether the registry there speaks HTTP without TLS."""
    return address.startswith(PLAIN)


def url(address: str) -> str:
    """The address as others write it."""
    return address.replace(PLAIN, SCHEME, 1) if is_plain(address) else address


def of(url: str, *, plain: bool) -> str:
    """The opposite of `url` and `is_plain`."""
    return url.replace(SCHEME, PLAIN, 1) if plain and url.startswith(SCHEME) else url
