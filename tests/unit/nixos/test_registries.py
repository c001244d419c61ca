"""Mirrors that ask for a password: the store has a place for it, the machine puts it in."""

import shlex
import stat
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.unit.nixos.conftest import NIXOS, Evaluate

SCRIPT = NIXOS / "modules" / "registries.sh"
URL = "https://mirror.example.org:5000/hub"
IMAGES = f"""slipway.images = {{
    registries = {{ "docker.io" = [ "{URL}" "https://open.example.org" ]; "*" = [ "https://open.example.org" ]; }};
    ca."mirror.example.org:5000" = "PEM"; ca."plain.example.org" = "PEM";
    credentials = [ "mirror.example.org:5000" ]; }};"""
LINES = "mirror.example.org:5000 Basic b3BzOmdlaGVpbQ==\nother.example.org Basic eDp5\n"


def words_of_unit(evaluate: Evaluate) -> list[str]:
    return shlex.split(evaluate("config.systemd.services.slipway-registries.serviceConfig.ExecStart", "worker", IMAGES))


def composed(target: Path, registry: str) -> dict[str, Any]:
    return tomllib.loads((target / registry / "hosts.toml").read_text())


@pytest.fixture
def compose(tmp_path, evaluate):
    """`compose(lines)`: the unit's own command, on templates as the store has them."""
    texts = evaluate("config.slipway.images.composed", "worker", IMAGES)
    words = []
    for number, (registry, text) in enumerate(texts.items()):
        template = tmp_path / f"template-{number}"
        template.write_text(text)
        words += [registry, str(template)]

    def run(lines: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "logins").write_text(lines)
        argv = ["sh", str(SCRIPT), str(tmp_path / "logins"), str(tmp_path / "registries"), *words]
        return subprocess.run(argv, check=False, capture_output=True, text=True)

    return run


def test_the_password_is_put_in_where_its_mirror_is_asked_and_nowhere_else(tmp_path, compose):
    done = compose(LINES)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    target = tmp_path / "registries"
    mirrors = composed(target, "docker.io")["host"]
    assert mirrors[URL] == {
        "capabilities": ["pull", "resolve"],
        "override_path": True,
        "ca": "/etc/k0s/registry-ca/mirror.example.org_5000.pem",
        "header": {"Authorization": "Basic b3BzOmdlaGVpbQ=="},
    }
    assert list(mirrors) == [URL, "https://open.example.org"]
    assert "header" not in mirrors["https://open.example.org"]
    # containerd takes the first folder that has a registry or _default, so that all must be in this one.
    assert {path.name for path in target.iterdir()} == {
        "docker.io",
        "_default",
        "mirror.example.org:5000",
        "plain.example.org",
    }
    assert composed(target, "plain.example.org")["server"] == "https://plain.example.org"


def test_only_root_reads_what_has_the_password(tmp_path, compose):
    compose(LINES)
    target = tmp_path / "registries"
    modes = {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in (target, *target.rglob("*"))}
    assert modes == {0}


def test_another_password_takes_its_place(tmp_path, compose):
    compose(LINES)
    (tmp_path / "registries" / "gone.example.org").mkdir()
    compose(LINES.replace("b3BzOmdlaGVpbQ==", "bmV1"))
    header = composed(tmp_path / "registries", "docker.io")["host"][URL]["header"]
    assert header == {"Authorization": "Basic bmV1"}
    assert not (tmp_path / "registries" / "gone.example.org").exists()


def test_without_the_password_of_one_nothing_is_left_half_way(tmp_path, compose):
    compose(LINES)
    done = compose("other.example.org Basic eDp5\n")
    assert done.returncode == 1
    assert "has no login for mirror.example.org:5000: slipway deploy brings it" in done.stderr
    assert "eDp5" not in done.stderr
    assert not (tmp_path / "registries").exists()


def test_the_unit_comes_before_k0s_and_waits_for_a_deploy(evaluate):
    unit = evaluate(
        "with config.systemd.services.slipway-registries; { inherit before wantedBy unitConfig; }", "worker", IMAGES
    )
    assert (unit["before"], unit["wantedBy"]) == (["k0s.service"], ["multi-user.target"])
    assert unit["unitConfig"]["ConditionPathExists"] == "/var/lib/slipway/registry-logins"
    words = words_of_unit(evaluate)
    assert words[1:3] == ["/var/lib/slipway/registry-logins", "/run/slipway/registries"]
    assert words[3::2] == ["_default", "docker.io", "mirror.example.org:5000", "plain.example.org"]


def test_containerd_looks_there_first_and_else_where_it_looked_before(evaluate):
    text = evaluate('config.environment.etc."k0s/containerd.d/slipway-registries.toml".text', "worker", IMAGES)
    (settings,) = tomllib.loads(text)["plugins"].values()
    assert settings["registry"]["config_path"] == "/run/slipway/registries:/etc/k0s/certs.d"
    fallback = evaluate('config.environment.etc."k0s/certs.d/docker.io/hosts.toml".text', "worker", IMAGES)
    assert "header" not in tomllib.loads(fallback)["host"][URL]


@pytest.mark.parametrize("role", ["controller", "worker"])
def test_control_who_asks_no_mirror_or_pulls_nothing_has_no_such_unit(evaluate, role):
    more = IMAGES if role == "controller" else 'slipway.images.registries."docker.io" = [ "https://open.example.org" ];'
    assert evaluate("config.systemd.services ? slipway-registries", role, more) is False
