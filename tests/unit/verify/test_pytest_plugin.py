"""A pytest session as a user runs one, in a folder of its own, over a real sshd."""

import getpass
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest

import slipway

PROJECT = Path(__file__).parents[3]
MODULE = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]["slipway"]
INSTALLED = any(each.name == "slipway" for each in metadata.entry_points(group="pytest11"))
"""Whether this environment was set up since the project has the entry point; else the module is named by hand."""

INVENTORY = """\
apiVersion: slipway/v1
cluster:
  name: trial
  k0s: {{version: 1.36.3+k0s.2}}
defaults:
  ssh: {{user: root, port: {port}, identity: {identity}, authorizedKeys: [{key}]}}
  network: {{interface: eth0, prefixLength: 24, nameservers: [10.0.0.1]}}
hosts:
  cp1: {{address: 10.0.0.11, role: controller, ssh: {{address: 127.0.0.1}}}}
  w1: {{address: 10.0.0.21, role: worker, ssh: {{address: '::1'}}}}
  w2: {{address: 10.0.0.22, role: worker, ssh: {{address: localhost}}}}
"""


@dataclass(frozen=True)
class Session:
    code: int
    said: str

    @property
    def outcomes(self) -> dict[str, str]:
        """Test to how it ended."""
        return dict(re.findall(r"^\S+::(\S+) (PASSED|FAILED|ERROR|SKIPPED)", self.said, re.MULTILINE))


@pytest.fixture
def session(tmp_path, sshd):
    assert getpass.getuser() == "root", "the tests of the plugin log in as root"
    key = (sshd.folder / "client.pub").read_text().strip()
    (tmp_path / "inventory.yaml").write_text(INVENTORY.format(port=sshd.port, identity=sshd.folder / "client", key=key))
    host_key = (sshd.folder / "host_ed25519.pub").read_text()
    ways = ("127.0.0.1", "::1", "localhost")
    (tmp_path / "known_hosts").write_text("".join(f"[{way}]:{sshd.port} {host_key}" for way in ways))

    def run(text, *words):
        (tmp_path / "test_mine.py").write_text(textwrap.dedent(text))
        plugin = () if INSTALLED else ("-p", MODULE)
        env = {**os.environ, "PYTHONPATH": str(Path(slipway.__file__).parents[1])}
        command = [sys.executable, "-m", "pytest", *plugin, "-v", "-p", "no:cacheprovider", *words]
        ended = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
        return Session(ended.returncode, ended.stdout + ended.stderr)

    return run


WITH = ("--slipway-inventory", "inventory.yaml")


def test_each_node_is_asked_and_marks_choose_by_role(session):
    found = session(
        """
        from slipway.verify.check import controllers, expect, workers

        def test_all(host, node, inventory):
            assert host.file("/etc/passwd").exists
            assert inventory.host(node.name) == node

        @controllers
        def test_c(node):
            assert node.is_controller

        @workers
        def test_w(host):
            expect(host.run("exit 3").rc == 0, expected="code 0", found="code 3", fix="mend it")
        """,
        *WITH,
    )
    assert found.outcomes == {
        "test_all[cp1]": "PASSED", "test_all[w1]": "PASSED", "test_all[w2]": "PASSED", "test_c[cp1]": "PASSED",
        "test_w[w1]": "FAILED", "test_w[w2]": "FAILED",
    }, found.said  # fmt: skip
    assert "expected code 0; found code 3" in found.said
    assert found.code == 1


def test_nodes_are_selected_as_slipway_verify_does(session):
    found = session(
        """
        def test_all(host, cluster):
            assert cluster.names == ("w1", "w2")
            assert cluster.host("cp1").run("true").rc == 0
        """,
        *WITH,
        "--slipway-node",
        "worker",
    )
    assert found.outcomes == {"test_all[w1]": "PASSED", "test_all[w2]": "PASSED"}, found.said


def test_vanilla_files_have_host_beside_testinfra(session):
    found = session(
        "def test_vanilla(host):\n    assert host.user('root').uid == 0\n    assert host.backend.NAME == 'slipway'\n",
        *WITH,
    )
    assert set(found.outcomes.values()) == {"PASSED"}, found.said
    assert len(found.outcomes) == 3


def test_a_command_that_does_not_answer_is_no_pass(session):
    found = session(
        "def test_slow(host):\n    assert host.run('sleep 9', timeout=1).rc != 0\n", *WITH, "--slipway-node", "w1"
    )
    assert found.outcomes == {"test_slow[w1]": "FAILED"}
    assert "no end after 1 s" in found.said


def test_without_an_inventory_other_tests_run_and_ours_say_what_is_missing(session):
    found = session("def test_other(): pass\n\ndef test_ours(node): pass\n")
    assert found.outcomes == {"test_other": "PASSED", "test_ours": "ERROR"}
    assert "run pytest with --slipway-inventory inventory.yaml" in found.said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--slipway-inventory", "nowhere.yaml"), "nowhere.yaml"),
        ((*WITH, "--slipway-node", "w9"), "w9"),
    ],
)
def test_a_wrong_option_ends_the_session_with_a_sentence(session, words, said):
    found = session("def test_a(node): pass\n", *words)
    assert found.code == 4
    assert said in found.said
    assert "Traceback" not in found.said
