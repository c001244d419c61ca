"""The commands around the inventory: what they print, and with which exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HOMELAB = ROOT / "examples" / "homelab"
UNKNOWN_KEY = ROOT / "tests" / "inventories" / "invalid" / "unknown-key.yaml"


def slipway(*words: str | Path, cwd: Path = HOMELAB) -> subprocess.CompletedProcess[str]:
    """The program itself, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "slipway.cli", *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_check():
    done = slipway("check")
    assert (done.returncode, done.stdout) == (
        0,
        "inventory.yaml: 6 hosts, 3 controllers, 3 workers, 1 warning, no problems\n",
    )
    assert done.stderr.endswith(
        "cluster.k0s.encryptSecrets: secrets/encryption.sops.yaml, the key for it, is missing; the next command: "
        "slipway init .\n"
    )


def test_check_does_not_miss_a_key_that_is_there_or_not_wanted(tmp_path: Path):
    text = (ROOT / "examples" / "single" / "inventory.yaml").read_text()
    (tmp_path / "inventory.yaml").write_text(text)
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "encryption.sops.yaml").touch()
    assert "encryptSecrets" not in slipway("check", cwd=tmp_path).stderr
    (tmp_path / "secrets" / "encryption.sops.yaml").unlink()
    assert "encryptSecrets" in slipway("check", cwd=tmp_path).stderr
    unwanted = text.replace("  k0s:\n", "  k0s:\n    encryptSecrets: false\n", 1)
    assert unwanted != text
    (tmp_path / "inventory.yaml").write_text(unwanted)
    assert "encryptSecrets" not in slipway("check", cwd=tmp_path).stderr


def test_check_names_what_a_build_would_not_see(tmp_path: Path):
    shutil.copy(HOMELAB / "inventory.yaml", tmp_path)
    (tmp_path / "hosts").mkdir()
    (tmp_path / "hosts" / "w1.nix").write_text("{ }")
    assert "Git" not in slipway("check", cwd=tmp_path).stderr
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    done = slipway("check", cwd=tmp_path)
    assert "hosts/w1.nix:1:1: git: unknown to Git, so no build sees it: git add hosts/w1.nix\n" in done.stderr
    assert done.returncode == 0
    warnings = json.loads(slipway("check", "--json", cwd=tmp_path).stdout)["warnings"]
    assert [each["file"] for each in warnings if each["path"] == "git"] == ["hosts/w1.nix"]


def test_check_tells_mistakes_with_exit_code_3():
    done = slipway("check", "-i", UNKNOWN_KEY.name, cwd=UNKNOWN_KEY.parent)
    assert done.returncode == 3
    assert "unknown-key.yaml:4:3: cluster.nmae: unknown key 'nmae'; did you mean 'name'?" in done.stderr
    assert "Traceback" not in done.stderr


TAINTED = """\
apiVersion: slipway/v1
cluster: {name: lab, k0s: {version: 1.36.3+k0s.2, encryptSecrets: false}}
hosts:
  cp1: {address: 10.0.0.11, role: controller, network: {interface: eno1, dhcp: true}}
  w1: {address: 10.0.0.21, role: worker, taints: ["a=b:NoSchedule"], network: {interface: eno1, dhcp: true}}
"""


def test_check_refuses_what_generate_refuses(tmp_path: Path):
    (tmp_path / "inventory.yaml").write_text(TAINTED)
    (tmp_path / "generated").mkdir()
    done, later = slipway("check", cwd=tmp_path), slipway("generate", cwd=tmp_path)
    assert (done.returncode, later.returncode) == (3, 3)
    assert "inventory.yaml:3:1: hosts: no host without taints runs pods" in done.stderr
    assert "no host without taints runs pods" in later.stderr
    elsewhere = TAINTED + "stages: {source: {kind: git, url: 'https://git.example.org/ops.git'}}\n"
    (tmp_path / "inventory.yaml").write_text(elsewhere)
    assert slipway("check", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("repository", "told"),
    [
        ("https://helm.cilium.io", "no chart of slipway's comes from there; did you mean oci://quay.io/cilium/charts?"),
        ("oci://quay.io/cilium/charts/", "no chart of slipway's comes from there; did you mean oci://quay.io/cilium"),
        ("oci://quay.io/mine", "no chart of slipway's comes from there; the files ocirepository.yaml"),
        ("oci://quay.io/cilium/charts", ""),
    ],
)
def test_a_mirror_of_a_place_without_charts_of_ours_is_warned_of(tmp_path: Path, repository: str, told: str):
    text = (
        TAINTED.replace('["a=b:NoSchedule"]', "[]") + f"mirrors: {{charts: {{'{repository}': oci://m.example.org}}}}\n"
    )
    (tmp_path / "inventory.yaml").write_text(text)
    done = slipway("check", cwd=tmp_path)
    assert done.returncode == 0
    assert (told in done.stderr) if told else ("no chart" not in done.stderr)


def test_nodes_of_a_family_that_services_lack_are_refused_by_check_and_generate(tmp_path: Path):
    text = TAINTED.replace("10.0.0.21", '"fd00::21"').replace('["a=b:NoSchedule"]', "[]")
    (tmp_path / "inventory.yaml").write_text(text)
    done, later = slipway("check", cwd=tmp_path), slipway("generate", cwd=tmp_path)
    assert (done.returncode, later.returncode) == (3, 3)
    message = "hosts.w1.address: fd00::21 is IPv6, but services are IPv4 (10.96.0.0/12)"
    assert f"inventory.yaml:5:17: {message}" in done.stderr
    assert message in later.stderr
    (tmp_path / "inventory.yaml").write_text(text.replace('"fd00::21"', "10.0.0.21"))
    assert slipway("check", cwd=tmp_path).returncode == 0


def test_a_node_of_ipv4_is_refused_where_services_have_ipv6_alone(tmp_path: Path):
    text = (ROOT / "examples" / "ipv6" / "inventory.yaml").read_text()
    mixed = text.replace('"2001:db8:0:1::21"', "10.0.0.21, network: {prefixLength: 24, gateway: 10.0.0.1}")
    assert mixed != text
    (tmp_path / "inventory.yaml").write_text(mixed)
    done, later = slipway("check", cwd=tmp_path), slipway("generate", cwd=tmp_path)
    assert (done.returncode, later.returncode) == (3, 3)
    assert "hosts.w1.address: 10.0.0.21 is IPv4, but services are IPv6 (fd00:96::/108)" in done.stderr
    (tmp_path / "inventory.yaml").write_text(text)
    assert slipway("check", cwd=tmp_path).returncode == 0


def test_check_names_every_pack_that_is_none(tmp_path: Path):
    text = (ROOT / "examples" / "single" / "inventory.yaml").read_text()
    (tmp_path / "inventory.yaml").write_text(
        text + "verify: {packs: [os, netwrk]}\ndeploy: {waves: {verify: [kubernets]}}\n"
    )
    done = slipway("check", "--json", cwd=tmp_path)
    assert done.returncode == 3
    assert [(one["path"], one["message"]) for one in json.loads(done.stdout)["problems"]] == [
        ("verify.packs[1]", "no pack is called 'netwrk'; did you mean network?"),
        ("deploy.waves.verify[0]", "no pack is called 'kubernets'; did you mean kubernetes?"),
    ]


def test_check_names_them_beside_other_mistakes(tmp_path: Path):
    text = (ROOT / "examples" / "single" / "inventory.yaml").read_text().replace("role: single", "role: singel")
    (tmp_path / "inventory.yaml").write_text(text + "verify: {packs: [os, netwrk, [], no pack]}\n")
    done = slipway("check", "--json", cwd=tmp_path)
    found = [(one["path"], one["message"]) for one in json.loads(done.stdout)["problems"]]
    problems = dict(found)
    assert len(found) == len(problems), "one place, one mistake"
    assert problems["verify.packs[1]"] == "no pack is called 'netwrk'; did you mean network?"
    assert "'singel' is none of" in problems["hosts.attic.role"]
    assert problems["verify.packs[2]"] == "a list is not a text"
    assert "'no pack' is not a DNS label" in problems["verify.packs[3]"]


def test_check_as_json():
    done = slipway("check", "--json", "-i", UNKNOWN_KEY.name, cwd=UNKNOWN_KEY.parent)
    assert done.returncode == 3
    assert json.loads(done.stdout) == {
        "valid": False,
        "problems": [
            {
                "file": "unknown-key.yaml",
                "line": 4,
                "column": 3,
                "path": "cluster.nmae",
                "message": "unknown key 'nmae'; did you mean 'name'?",
            }
        ],
        "warnings": [],
    }


def test_check_tells_warnings_apart():
    done = slipway("check", "-i", "warnings.yaml", cwd=ROOT / "tests/inventories/valid")
    assert done.returncode == 0
    assert done.stderr.count("warning: warnings.yaml:") == 8


def test_check_without_an_inventory_says_what_next(tmp_path: Path):
    done = slipway("check", cwd=tmp_path)
    assert done.returncode == 3
    assert "inventory.yaml:1:1: yaml: no such file" in done.stderr
    assert "slipway init" in done.stderr


def test_schema():
    assert json.loads(slipway("schema").stdout)["title"] == "slipway inventory"
    assert slipway("schema", "--markdown").stdout.startswith("# inventory.yaml\n")


def test_list():
    done = slipway("inventory", "list", "worker+@rack-a", "--exclude", "w2", "--json")
    assert [host["name"] for host in json.loads(done.stdout)] == ["w1"]


def test_list_refuses_unknown_words_with_exit_code_2():
    done = slipway("inventory", "list", "w9")
    assert done.returncode == 2
    assert "'w9' names no host" in done.stderr


def test_show_with_origins():
    done = slipway("inventory", "show", "w2", "--origins")
    lines = done.stdout.splitlines()
    assert "network.gateway: 10.0.0.1   (defaults at inventory.yaml:27)" in lines
    assert 'labels."example.org/storage": true   (groups.storage at inventory.yaml:34)' in lines
    assert "ssh.port: 22   (default of slipway)" in lines


def test_show_as_json_has_the_keys_of_the_file():
    shown = json.loads(slipway("inventory", "show", "w2", "--json").stdout)
    assert shown["network"]["prefixLength"] == 24
    assert shown["name"] == "w2"


def test_fmt(tmp_path: Path):
    file = tmp_path / "inventory.yaml"
    text = (HOMELAB / "inventory.yaml").read_text()
    file.write_text(text.replace("  name: homelab", "  name:    homelab"))
    assert slipway("inventory", "fmt", "--check", cwd=tmp_path).returncode == 4
    assert file.read_text() != text
    assert slipway("inventory", "fmt", cwd=tmp_path).returncode == 0
    assert file.read_text() == text
    assert slipway("inventory", "fmt", "--check", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize("tool", ["ansible", "ssh-config", "hosts"])
def test_export(tool: str):
    done = slipway("export", tool)
    assert done.returncode == 0
    assert "10.0.0.23" in done.stdout


def test_import_writes_a_new_file_only(tmp_path: Path):
    source = ROOT / "tests/inventories/imports/k0sctl/plain.yaml"
    words = ("import", "k0sctl", source, "-o", "inventory.yaml", "--interface", "eno1", "--prefix-length", "24")
    done = slipway(*words, cwd=tmp_path)
    assert done.returncode == 0
    assert "spec.network: kuberouter is not carried over" in done.stderr
    assert slipway("check", cwd=tmp_path).returncode == 0
    again = slipway(*words, cwd=tmp_path)
    assert again.returncode == 2
    assert "inventory.yaml exists; it is not overwritten" in again.stderr


def test_import_ansible_to_standard_output():
    done = slipway("import", "ansible", ROOT / "tests/inventories/imports/ansible/folder")
    assert "address: 10.9.0.21" in done.stdout


def test_check_stays_light(tmp_path: Path):
    """What `check` imports is what a thousand hosts are checked with in a second: nothing of the other rooms."""
    shutil.copy(HOMELAB / "inventory.yaml", tmp_path)
    code = """
import sys
from slipway.cli.main import main
sys.argv = ["slipway", "check"]
try:
    main()
finally:
    print(*sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    loaded = set(done.stdout.split())
    assert "slipway.inventory.load" in loaded
    assert not loaded & {"paramiko", "plumbum", "jinja2", "ruamel.yaml", "pytest", "hypothesis"}
