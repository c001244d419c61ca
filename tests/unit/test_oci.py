"""Addresses of registries, as an inventory has them and as others want them."""

import pytest

from slipway import oci


@pytest.mark.parametrize(
    ("address", "registry", "plain", "url"),
    [
        ("oci://example.org/charts", True, False, "oci://example.org/charts"),
        ("oci+http://10.0.0.1:5000/charts", True, True, "oci://10.0.0.1:5000/charts"),
        ("https://example.org/index", False, False, "https://example.org/index"),
        ("/srv/oci://charts", False, False, "/srv/oci://charts"),
    ],
)
def test_an_address_says_what_is_there(address, registry, plain, url):
    assert (oci.is_registry(address), oci.is_plain(address), oci.url(address)) == (registry, plain, url)
    assert oci.of(url, plain=plain) == address
