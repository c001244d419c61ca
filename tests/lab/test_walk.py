"""The walk of somebody with 300 machines in Ansible, from a clean clone: import, check, trust, generate, plan, deploy,
and where they stand.

The machines are addresses of loopback that one real sshd serves, and Nix is a stand-in (tests/bench/machines.py): what
is tried is the way through the commands, and that each fits the next. Inventory, keys and connections are real.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from tests.bench.machines import Machines, address, machines

pytestmark = pytest.mark.lab

ROOT = Path(__file__).parents[2]
HOSTS = 300
RACK = 40
WITHIN = 900.0
"""Seconds for one command, on a machine that has other things to do."""
SCREEN = 24
"""Lines of a terminal."""

Ran = subprocess.CompletedProcess[str]
Slipway = Callable[..., Ran]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What somebody has who cloned the project: nothing that only lies about in a working tree."""
    folder = tmp_path_factory.mktemp("clone")
    # Whoever runs the tests as root need not be who owns the working tree.
    (folder / "gitconfig").write_text("[safe]\n\tdirectory = *\n")
    env = {**os.environ, "GIT_CONFIG_GLOBAL": str(folder / "gitconfig")}
    argv = ["git", "clone", "--quiet", "--no-hardlinks", str(ROOT), str(folder / "slipway")]
    subprocess.run(argv, env=env, check=True, timeout=WITHIN)
    return folder / "slipway"


@pytest.fixture(scope="module")
def fleet() -> Iterator[Machines]:
    """The machines, and an empty repository of Git for them; of what a benchmark has there only Nix is left."""
    with machines(HOSTS) as made:
        for name in ("inventory.yaml", "known_hosts"):
            (made.root / name).unlink()
        subprocess.run(["git", "init", "--quiet", made.root], check=True, timeout=WITHIN)
        (made.root / ".gitignore").write_text("/bin\n/systems\n/built.json\n/state\n/.slipway\n")
        (made.root / "hosts.ini").write_text(_ansible(made))
        yield made


def _ansible(made: Machines) -> str:
    racks: dict[int, list[str]] = {}
    for number, name in enumerate(made.names):
        racks.setdefault(number // RACK + 1, []).append(name)
    places = [f"{name} ansible_host=10.77.{n // 250}.{n % 250 + 1}" for n, name in enumerate(made.names)]
    groups = [f"[rack_{number}]\n" + "\n".join(names) for number, names in racks.items()]
    return "\n\n".join(
        [
            f"[all:vars]\nansible_user={made.user}\nansible_port={made.port}",
            "[kube_control_plane]\n" + places[0],
            "[kube_node]\n" + "\n".join(places[1:]),
            *groups,
            "",
        ]
    )


@pytest.fixture(scope="module")
def slipway(clone: Path, fleet: Machines) -> Slipway:
    """The clone's slipway in the repository; ends the test where it does not end with one of the codes `ends`."""
    ours = {
        "PATH": f"{fleet.root / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(clone / "python"),
        "XDG_STATE_HOME": str(fleet.root / "state"),
        "COLUMNS": "100",
    }

    def run(*words: str, ends: tuple[int, ...] = (0,)) -> Ran:
        argv = [sys.executable, "-m", "slipway.cli", *words]
        done = subprocess.run(
            argv,
            cwd=fleet.root,
            env={**os.environ, **ours},
            capture_output=True,
            text=True,
            timeout=WITHIN,
            check=False,
        )
        said = f"{done.stdout[-1000:]}\n{done.stderr[-2000:]}"
        assert done.returncode in ends, f"slipway {' '.join(words)}: {done.returncode}\n{said}"
        return done

    return run


def test_the_inventory_of_ansible_becomes_one_that_check_takes(slipway: Slipway, fleet: Machines) -> None:
    file = fleet.root / "inventory.yaml"
    file.write_text(slipway("import", "ansible", "hosts.ini").stdout)
    refused = slipway("check", ends=(3,)).stderr
    assert "required key 'interface' is missing" in refused
    assert len(refused.splitlines()) < SCREEN, "what 300 hosts lack is told once"
    _complete(file, fleet)
    slipway("check")
    found = json.loads(slipway("inventory", "list", "--json").stdout)
    assert len(found) == HOSTS
    assert len(json.loads(slipway("inventory", "list", "@rack-2", "--json").stdout)) == RACK


def _complete(file: Path, made: Machines) -> None:
    """What Ansible does not know: links, keys, networks for so many nodes; and where this test's machines answer."""
    yaml = YAML()
    document = yaml.load(file)
    key = (made.keys / "client.pub").read_text().strip()
    document["cluster"]["k0s"]["encryptSecrets"] = False
    document["cluster"]["network"] = {
        "provider": "kuberouter",
        "podCIDR": "10.128.0.0/10",
        "serviceCIDR": "172.20.0.0/16",
    }
    defaults = document["defaults"] = document["defaults"] or {}
    defaults.setdefault("ssh", {}).update(identity=str(made.keys / "client"), authorizedKeys=[key])
    defaults["network"] = {"interface": "eth0", "prefixLength": 16, "nameservers": ["127.0.0.1"]}
    for number, name in enumerate(made.names):
        document["hosts"][name].setdefault("ssh", {})["address"] = address(number)
    yaml.dump(document, file)


def test_what_a_scan_found_is_pinned_for_all_of_them(slipway: Slipway, fleet: Machines) -> None:
    places = [address(number) for number in range(HOSTS)]
    argv = ["ssh-keyscan", "-T", "60", "-t", "ecdsa", "-p", str(fleet.port), *places]
    scan = subprocess.run(argv, capture_output=True, text=True, timeout=WITHIN, check=True).stdout
    (fleet.root / "scan.txt").write_text(scan)
    said = json.loads(slipway("trust", "--from", "scan.txt", "--json").stdout)
    assert {each["state"] for each in said["nodes"]} == {"pinned"}
    assert (len(said["nodes"]), said["aboutNobody"]) == (HOSTS, [])


def test_generate_plan_and_deploy_go_through(slipway: Slipway) -> None:
    slipway("generate")
    slipway("generate", "--check")
    planned = json.loads(slipway("plan", "--json", ends=(0, 4)).stdout)
    assert len(planned["nodes"]) == HOSTS
    deployed = json.loads(slipway("deploy", "--no-join", "--json").stdout)
    assert [each["outcome"] for each in deployed["nodes"]] == ["unchanged"] * HOSTS


def test_all_nodes_answer_one_command_on_a_few_lines(slipway: Slipway) -> None:
    said = slipway("exec", "@rack-2", "--", "uname -s").stdout
    assert said.splitlines() == ["40 nodes (w40 w41 w42 w43 w44 w45 w46 w47 w48 w49 w50 w51 and 28 more): exit code 0",
                                 "    Linux"]  # fmt: skip


def test_their_status_is_on_one_screen(slipway: Slipway) -> None:
    done = slipway("status", "--quick")
    lines = done.stdout.splitlines() + done.stderr.splitlines()
    assert lines[0] == f"nodes 0/{HOSTS}, gate shut"
    assert len(lines) < SCREEN
    assert "w1 and 298 more like it" in done.stdout
    assert done.stderr.splitlines()[-1].startswith("next: slipway ")
    assert slipway("status", "--quick", "w7").stdout.splitlines()[2].split()[0] == "w7"
