"""host.package on machines whose packages are store paths."""

import pytest

from slipway.verify.backend import Answer, NodeHost, host_of
from slipway.verify.check import CannotRun

HASH = "0" * 31 + "a"
NAMES = ("openssh-10.2p1", "openssh-10.2p1-man", "nix-store-sweeper-1.0", "etc-os-release", "glibc-2.42-61", "unit-k0s")
CLOSURE = "".join(f"/nix/store/{HASH}-{name}\n" for name in NAMES)


@pytest.fixture
def host() -> NodeHost:
    return host_of("w1", lambda _command, _timeout: Answer(0, CLOSURE, ""))


@pytest.mark.parametrize(
    "name", ["openssh", "openssh-10.2p1", "etc-os-release", "glibc", f"/nix/store/{HASH}-glibc-2.42-61"]
)
def test_what_the_closure_holds_is_installed(host, name):
    assert host.package(name).is_installed


@pytest.mark.parametrize("name", ["open", "openssh-10", "nix", "nix-store", f"/nix/store/{HASH}-glibc", ""])
def test_control_a_part_of_a_name_is_not(host, name):
    assert not host.package(name).is_installed


def test_the_version_is_that_of_the_package_and_not_of_an_output(host):
    assert host.package("openssh").version == "10.2p1"
    with pytest.raises(KeyError, match="curl is not in the closure"):
        host.package("curl").version  # noqa: B018


def test_a_question_that_fails_is_no_package_that_is_missing():
    host = host_of("w1", lambda _command, _timeout: Answer(127, "", "nix-store: not found"))
    with pytest.raises(CannotRun, match="exit code 127"):
        host.package("openssh").is_installed  # noqa: B018
