"""What is told of two systems, from names and files alone."""

import pytest

from slipway.rollout import difference


def path(name: str, digest: str = "a") -> str:
    return f"/nix/store/{digest * 32}-{name}"


def packages(old: list[str], new: list[str], host: str = "w1") -> tuple[tuple[str, ...], tuple[str, ...]]:
    return difference.packages(old, new, host)


def test_another_version_comes_and_goes():
    old = [path("k0s-1.35.3+k0s.0"), path("nano-8.1"), path("same-1.0")]
    new = [path("k0s-1.36.3+k0s.2"), path("htop-3.3"), path("same-1.0")]
    assert packages(old, new) == (
        ("htop none -> 3.3", "k0s 1.35.3+k0s.0 -> 1.36.3+k0s.2", "nano 8.1 -> none"),
        (),
    )


def test_what_is_built_anew_in_its_version_is_named_apart():
    old = [path("etc"), path("glibc-2.40"), path("unit-old.service")]
    new = [path("etc", "b"), path("glibc-2.40", "b"), path("unit-new.service")]
    assert packages(old, new) == ((), ("etc", "glibc", "+unit-new.service", "-unit-old.service"))


def test_outputs_of_one_package_are_one():
    assert packages([path("curl-8.1-bin"), path("curl-8.1", "b")], [path("curl-8.2-bin"), path("curl-8.2", "b")]) == (
        ("curl 8.1 -> 8.2",),
        (),
    )


def test_a_number_in_a_files_name_is_no_version():
    assert packages([path("etc-10-eth0.network")], [path("etc-20-eth1.network")]) == (
        (),
        ("-etc-10-eth0.network", "+etc-20-eth1.network"),
    )


def test_nothing_differs_in_nothing():
    assert packages([path("k0s-1.35.3")], [path("k0s-1.35.3")]) == ((), ())


def test_equal_nodes_read_alike_whatever_they_are_called():
    def of(host: str) -> object:
        old, new = [path(f"nixos-system-{host}-26.05")], [path(f"nixos-system-{host}-26.11")]
        return packages(old, new, host)

    assert of("w1") == of("worker-12") == (("nixos-system-NODE 26.05 -> 26.11",), ())
    assert packages([path("raw1-2")], [path("raw1-3")]) == (("raw1 2 -> 3",), ())


YAML = """# Made by slipway
spec:
  api: {port: 6443, sans: [a, b]}
  telemetry: {enabled: false}
"""


def test_settings_of_k0s_are_told_by_their_place_and_comments_are_not():
    old, new = path("k0s.yaml"), path("k0s.yaml", "b")
    after = YAML.replace("slipway", "slipway 2").replace("6443", "7443").replace("[a, b]", "[a]") + "  more: 1\n"
    assert difference.k0s({old: YAML}, {new: after}) == (
        "spec.api.port: 6443 -> 7443",
        "spec.api.sans: [a, b] -> [a]",
        "spec.more: unset -> 1",
    )
    assert difference.k0s({old: YAML}, {new: YAML.replace("slipway", "slipway 2")}) == ()


SCRIPT = """#!/nix/store/x-bash/bin/bash
set -- 'worker' '--labels=disk=hdd' '--kubelet-extra-args=--node-ip=10.0.0.11 --v=2'
if true; then
  set -- "$@" --token-file=/etc/k0s/k0stoken
fi
exec /nix/store/{digest}-k0s-1.35.3/bin/k0s "$@"
"""


def test_arguments_and_program_of_k0s_are_told():
    old = SCRIPT.replace("{digest}", "a" * 32)
    new = SCRIPT.replace("{digest}", "b" * 32).replace("1.35.3", "1.36.3").replace("hdd' ", "ssd' '--profile=big' ")
    assert difference.k0s({path("slipway-k0s"): old}, {path("slipway-k0s", "b"): new}) == (
        "k0s: k0s-1.35.3 -> k0s-1.36.3",
        "k0s --labels: disk=hdd -> disk=ssd",
        "k0s --profile: unset -> big",
    )


def test_other_files_are_named():
    old = {path("ca.pem"): "1", path("old.toml"): ""}
    new = {path("ca.pem", "b"): "2", path("new.toml"): ""}
    assert difference.k0s(old, new) == ("ca.pem changes", "new.toml comes", "old.toml goes")


@pytest.mark.parametrize("odd", ["a: [", "[" * 5000, "just text", "- 1", "\x00"])
def test_what_is_no_configuration_differs_and_is_no_error(odd):
    assert difference.k0s({path("k0s.yaml"): odd}, {path("k0s.yaml", "b"): YAML})
    assert difference.k0s({path("slipway-k0s"): "set -- 'a"}, {path("slipway-k0s", "b"): SCRIPT})
