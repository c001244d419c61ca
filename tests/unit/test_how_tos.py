"""Each how-to is walked: its settings go into an inventory, its commands are typed in their order, for real, up to
where they would need machines that nobody has here. Beyond that edge a test of the lab is named, which goes on.

The machines of these inventories refuse connections, as ones that are off do: `slipway` ends with exit code 5 there.
Programs that act on the world outside have a fake that only writes down how it was called.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.sealed import KEY, keys_of
from tests.unit.test_docs import SECTIONS

from slipway.cli.generate import set_up
from slipway.cluster.backup import About, Archive
from slipway.generate import tree, writer
from slipway.generate.skeleton import Flake
from slipway.inventory import InvalidInventory, load
from slipway.secret import Secret
from slipway.secrets import backups, making

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs/how-to").glob("*.md"))
EDGE = 5
"""The exit code where a machine cannot be reached."""
PROGRAMS = {
    "slipway", "git", "nix", "nix-store", "age-keygen", "ansible-inventory", "export", "kubectl", "sudo", "mkdir",
    "pytest", "$EDITOR",
}  # fmt: skip
"""First words of what is typed; other lines of a block are something else, such as what a program says."""
ANSIBLE = {
    "k8s_cluster": {"children": ["kube_control_plane", "kube_node"]},
    "kube_control_plane": {"hosts": ["cp1"]},
    "kube_node": {"hosts": ["w1"]},
    "_meta": {"hostvars": {"cp1": {"ansible_host": "10.0.0.11"}, "w1": {"ansible_host": "10.0.0.21"}}},
}
KUBECTL = """case "$*" in
  *-db.sql*) echo "create table user (id integer);" ;;
  *forgejo*) ;;
  *) echo "The connection to the server was refused" >&2; exit 1 ;;
esac"""
WITHIN = 600
"""Seconds for one command, on the slowest of machines."""

INVENTORY = f"""\
apiVersion: slipway/v1
cluster:
  name: homelab
  k0s: {{version: 1.36.3+k0s.2}}
defaults:
  role: worker
  ssh: {{address: 127.0.0.1, port: 9, authorizedKeys: [{KEY}]}}
  network: {{interface: eno1, prefixLength: 24, gateway: 10.0.0.1}}
groups:
  rack-a: {{tags: [rack-a]}}
hosts:
  cp1: {{address: 10.0.0.11, role: controller, ssh: {{port: 1}}}}
  cp2: {{address: 10.0.0.12, role: controller, ssh: {{port: 2}}}}
  cp3: {{address: 10.0.0.13, role: controller, ssh: {{port: 3}}}}
  w1: {{address: 10.0.0.21, groups: [rack-a], ssh: {{port: 4}}}}
  w2: {{address: 10.0.0.22, groups: [rack-a], ssh: {{port: 5}}}}
  w3: {{address: 10.0.0.23, ssh: {{port: 6}}}}
deploy: {{timeouts: {{connect: 5s}}}}
stages:
  mode: install
  backup: {{repository: "s3:https://127.0.0.1:1/backups"}}
"""
"""The machines of the how-tos. Nothing listens on the first ports of this machine."""
CERTIFICATE = yaml.safe_load((ROOT / "tests/inventories/valid/everything.yaml").read_text())["mirrors"]["ca"]
S3 = {"AWS_ACCESS_KEY_ID": "access-key-of-the-test", "AWS_SECRET_ACCESS_KEY": "secret-key-of-the-test"}


@dataclass(frozen=True)
class Walk:
    """How a page is walked. `ends` are the exit codes of its commands, in their order; `said` is what one of them must
    say, by its first words; `words` stand in the place of what only a reader has; `before` brings what the page takes
    for granted; `beyond` are tests that go on behind the edge."""

    ends: tuple[int, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    said: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[Path], None] = lambda _root: None
    empty: bool = False
    """Begins in an empty folder, as somebody who has no repository yet."""
    environment: Mapping[str, str] = field(default_factory=dict)
    beyond: tuple[str, ...] = ()
    by_hand: bool = False
    """Nothing of it is typed here: its programs are none of ours, and none that a test could have."""


def _archive(root: Path) -> None:
    """A backup as `slipway backup` leaves one."""
    about = About("homelab", "0" * 64, "1.36.3+k0s.2", "cp1", "10.0.0.11", "2026-11-26T01:45:00+00:00")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name in ("etcd-snapshot.db", "pki/ca.crt"):
            archive.addfile(tarfile.TarInfo(name))
    with pytest.MonkeyPatch.context() as patch:
        keys_of(patch, root.parent / "config")
        backups.save(root, Archive(about, Secret(packed.getvalue())), root / "offsite.age")


def _foreign_inventories(root: Path) -> None:
    """Those of a k0sctl and of an Ansible user."""
    imports = ROOT / "tests/inventories/imports"
    shutil.copy(imports / "k0sctl/plain.yaml", root / "k0sctl.yaml")
    (root / "inventory").mkdir()
    (root / "inventory/hosts.ini").write_text(
        "[k8s_cluster:children]\nkube_control_plane\nkube_node\n[kube_control_plane]\ncp1 ansible_host=10.0.0.11\n"
        "[kube_node]\nw1 ansible_host=10.0.0.21\n"
    )


def _s3_account(root: Path) -> None:
    (root.parent / "new.yaml").write_text(yaml.safe_dump(S3))


def _tests(root: Path) -> None:
    """Of the page, with another that its words name."""
    (python,) = (block for block in blocks((ROOT / "docs/how-to/own-pytest.md").read_text()) if "@workers" in block)
    for folder in ("verify", "tests"):
        (root / folder).mkdir(exist_ok=True)
        (root / folder / "test_storage.py").write_text(python)


MACHINES = {
    "10.0.0.21": "127.0.0.1:4", "10.0.0.22": "127.0.0.1:5", "10.0.0.157": "127.0.0.1:7", "203.0.113.7": "127.0.0.1:8",
}  # fmt: skip
"""In the place of addresses that are somebody's, perhaps."""
OFFLINE = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

HOW: dict[str, Walk] = {
    "back-up-and-restore": Walk(
        (EDGE, EDGE, 0, EDGE, EDGE),
        {"/mnt/offsite/homelab-20261126T014500Z.tar.gz.age": "offsite.age", "/mnt/offsite": "offsite"},
        {"slipway backup": "no controller can be backed up"},
        _archive,
        beyond=("lab/test_day2.py::test_a_lost_control_plane_comes_back_with_its_nodes_and_secrets",),
    ),
    "behind-a-proxy": Walk(beyond=("unit/verify/test_mutation.py",)),
    "bring-an-inventory": Walk((0,) * 8, before=_foreign_inventories, empty=True),
    "change-the-key-for-secrets": Walk(
        (6, EDGE) * 3 + (0,), said={"slipway encryption rotate": "cannot be asked which key it writes with"},
        beyond=("lab/test_encryption.py",),
    ),
    "copy-through-a-cache": Walk((0, 0, EDGE), beyond=("unit/rollout/test_copying.py",)),
    "deploy-in-waves": Walk(beyond=("lab/test_waves.py",)),
    "discover-machines": Walk((EDGE,) * 5, MACHINES, beyond=("lab/test_discover.py",)),
    # The gate evaluates systems, and there is no nixpkgs.
    "from-nothing": Walk(
        (EDGE, EDGE, 0, 3, 0, EDGE), {"s3.example.org": "127.0.0.1:1", "offline.txt": "../config/sops/age/keys.txt",
         "AWS_ACCESS_KEY_ID=...": "AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=...": "AWS_SECRET_ACCESS_KEY=b"},
        beyond=(
            "lab/test_base_apps.py"
            "::test_after_the_loss_of_every_machine_and_every_clone_all_comes_back_out_of_s3_and_the_key",
        ),
    ),
    "install-a-machine": Walk(
        (0, 0, EDGE, EDGE, 0, EDGE, EDGE, EDGE), MACHINES,
        beyond=("lab/test_install.py::test_an_installation_that_is_cut_off_goes_on_and_ends_as_a_node",),
    ),
    "ipv6-only": Walk((0, 0, EDGE), beyond=("unit/generate/test_cilium.py",)),
    "node-secrets": Walk(beyond=("unit/nixos/test_node_secrets.py",), by_hand=True),
    "own-hardware": Walk(beyond=("unit/inventory/test_elsewhere.py",)),
    "own-pytest": Walk((1, 1), said={"pytest": "connection refused"}, before=_tests),
    "own-settings": Walk(),
    "people-and-records": Walk(),
    "reach-machines": Walk(),
    "remove-or-replace-a-node": Walk(
        (EDGE, 0, EDGE, EDGE, EDGE, EDGE, EDGE, EDGE, EDGE, EDGE),
        said={"slipway node remove": "no other controller serves"},
        beyond=("lab/test_day2.py::test_a_controller_is_removed_and_comes_back_by_a_deploy",
                "lab/test_day2.py::test_a_lost_controller_makes_room_for_the_new_machine_of_its_name"),
    ),
    "replace-a-disk": Walk(
        (EDGE, EDGE, EDGE, EDGE, 0, 0, EDGE, EDGE, EDGE, 1, 0, 0, EDGE, 1, EDGE), MACHINES,
        beyond=("lab/test_install.py::test_the_node_becomes_a_cluster",
                "lab/test_day2.py::test_a_lost_controller_makes_room_for_the_new_machine_of_its_name"),
    ),
    "restore-forgejo": Walk((0,) * 10),
    "run-from-ci": Walk((0, 0, 0, EDGE, EDGE)),
    "secrets": Walk(
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 8, EDGE, 8),
        {"age1...": OFFLINE, "https://git.example.org/ops/homelab.git": ".", "s3.example.org": "127.0.0.1:1"},
        before=_s3_account,
        beyond=("lab/test_drill.py",),
    ),
    "several-clusters": Walk((0, 0, 0, 0, 0, EDGE, EDGE), empty=True),
    "upgrade-k0s": Walk(
        (EDGE, EDGE), beyond=("lab/test_ha.py::test_controllers_take_a_minor_release_one_by_one_and_the_api_goes_on",)
    ),
    "upgrade-nixos": Walk((0, EDGE, EDGE, EDGE), beyond=("lab/test_waves.py",)),
    "when-it-says-no": Walk(),
    "without-internet": Walk(
        (0, 0, EDGE), environment={"REGISTRY_USERNAME": "ops", "REGISTRY_PASSWORD": "geheim"},
        beyond=("unit/nixos/test_registries.py",),
    ),
}  # fmt: skip


# --- reading a page --------------------------------------------------------------------------------------------------


def blocks(text: str) -> Iterator[str]:
    """Blocks of code in their order, fenced or indented, without their indentation."""
    for fenced, indented in re.findall(r"^```[^\n]*\n(.*?)^```|((?:^ {4}[^\n]*\n(?:\n(?= {4}))?)+)", text, re.S | re.M):
        whole = fenced or "".join(line[4:] or "\n" for line in indented.splitlines(keepends=True))
        yield from [whole] if fenced or settings(readable(whole)) else re.split(r"\n(?=\n)", whole)


def settings(block: str) -> dict[str, Any] | None:
    """What a block says of an inventory; None where it says something else."""
    try:
        found = yaml.safe_load(block)
    except yaml.YAMLError:
        return None
    return found if isinstance(found, dict) and found and set(found) <= SECTIONS - {"apiVersion"} else None


def commands(block: str) -> Iterator[str]:
    """What is typed, whole: a quote or a here-document may go on over lines."""
    whole = ""
    for line in block.splitlines():
        typed = line.removeprefix("$ ")
        if whole or typed.split(" ")[0] in PROGRAMS:
            whole += f"{typed}\n"
            if subprocess.run(["bash", "-n"], input=whole, text=True, capture_output=True, check=False).stderr == "":
                yield whole
                whole = ""


# --- walking ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A committed repository of these machines, with its secrets and the key that opens them."""
    folder = tmp_path_factory.mktemp("how-tos")
    with pytest.MonkeyPatch.context() as patch:
        keys_of(patch, folder / "config")
        for name, value in S3.items():
            patch.setenv(name, value)
        root = folder / "homelab"
        set_up(root, "homelab", Flake(lab=False))
        (root / "inventory.yaml").write_text(INVENTORY)
        pins = [f"[127.0.0.1]:{host.ssh.port} {' '.join(KEY.split()[:2])}\n" for host in load(root).hosts]
        (root / "known_hosts").write_text("".join(pins))
        making.fill(load(root), {"backup-s3": {name: Secret(value) for name, value in S3.items()}})
        writer.write(root, writer.changes(root, tree.render(load(root))))
        for words in (["add", "--all"], ["-c", "user.name=r", "-c", "user.email=r@x", "commit", "-qm", "The cluster"]):
            subprocess.run(["git", "-C", str(root), *words], check=True)
    yield folder


class Shell:
    """One shell, from the first command of a page to its last."""

    def __init__(self, folder: Path, walk: Walk) -> None:
        self.folder, self.walk = folder, walk
        self.root = folder / ("empty" if walk.empty else "homelab")
        self.root.mkdir(exist_ok=True)
        self.typed: list[tuple[str, int, str]] = []
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.program("slipway", f'exec {sys.executable} -m slipway.cli "$@"')
        self.fake("nix", 'case "$*" in *--json*) echo "error: there is no nixpkgs here" >&2; exit 1 ;; esac')
        for name in ("sudo", "restic", "bao"):
            self.fake(name)
        self.fake("ansible-inventory", f"echo '{json.dumps(ANSIBLE)}'")
        self.fake("kubectl", KUBECTL)
        self.program("editor", f'case $1 in *inventory.yaml) cat {folder}/edited.yaml >"$1" ;; esac')
        shutil.copy(folder / "homelab/inventory.yaml", folder / "edited.yaml")
        self.exported: dict[str, str] = {}

    def program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.programs / name).chmod(0o755)

    def fake(self, name: str, answer: str = "") -> None:
        """One that writes down its words and does nothing."""
        self.program(name, f'echo "{name} $*" >>{self.folder}/called\ncat >/dev/null\n{answer}')

    def type(self, command: str) -> None:
        for word, other in self.walk.words.items():
            command = command.replace(word, other)
        environment = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "PYTHONPATH": str(ROOT / "python"),
            "EDITOR": str(self.programs / "editor"),
            **{name: f"{kind}@example.org" if "MAIL" in name else kind for name, kind in WHO.items()},
            **self.walk.environment,
            **self.exported,
        }
        # What is exported has to live on, as in a shell that somebody sits at.
        script = f"{command}\nended=$?; env -0 >'{self.folder}/environment'; exit $ended"
        done = subprocess.run(
            ["bash", "-c", script], cwd=self.root, env=environment, stdin=subprocess.DEVNULL, timeout=WITHIN,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        self.typed.append((command.strip(), done.returncode, done.stdout))
        self._export(command)

    def _export(self, command: str) -> None:
        if command.startswith("export "):
            known = dict(pair.split("=", 1) for pair in (self.folder / "environment").read_text().split("\0") if pair)
            self.exported |= {name: known[name] for name in re.findall(r"([A-Z_]+)=", command) if name in known}

    def set(self, values: dict[str, Any]) -> None:
        """Into the inventory, which then is one that `check` takes and `generate` makes files of."""
        file = self.root / "inventory.yaml"
        whole = merged(yaml.safe_load(file.read_text()), values)
        file.write_text(yaml.safe_dump(whole, sort_keys=False))
        tree.render(load(file))


WHO = dict.fromkeys(("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"), "reader")


def merged(under: Any, over: Any) -> Any:
    if isinstance(under, dict) and isinstance(over, dict):
        return {**under, **{key: merged(under.get(key), value) for key, value in over.items()}}
    return over


def walked(page: Path, walk: Walk, made_once: Path, folder: Path) -> Shell:
    shutil.copytree(made_once, folder, symlinks=True)
    shell = Shell(folder, walk)
    walk.before(shell.root)
    for block in blocks(page.read_text(encoding="utf-8")):
        values = settings(readable(block, shell.root))
        if values is not None:
            shell.set(values)
        elif not walk.by_hand:
            for command in commands(block):
                shell.type(command)
    return shell


def readable(block: str, root: Path = ROOT) -> str:
    """With a certificate and a key in the place of those that a page leaves out."""
    (certificate,) = CERTIFICATE.values()
    pem = r"( +)-----BEGIN CERTIFICATE-----\n +\.\.\.\n +-----END CERTIFICATE-----"
    block = re.sub(pem, lambda found: "\n".join(found[1] + line for line in certificate.splitlines()), block)
    public = root / "public"
    key = public.read_text().strip() if public.exists() else f"cache.example.org-1:{'A' * 43}="
    return block.replace("cache.example.org-1:...", key)


def ended(shell: Shell) -> str:
    """What is typed and how it ends, a line each, with what was said where it is not as the table has it."""
    return "\n".join(f"{code}: {command}" for command, code, _ in shell.typed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_how_to_goes_as_it_is_written(page, made_once, tmp_path):
    assert page.stem in HOW, f"{page.name}: say in HOW of {Path(__file__).name} how it is walked"
    walk = HOW[page.stem]
    shell = walked(page, walk, made_once, tmp_path / "own")
    print(*(f"$ {command}\n[{code}]\n{text}" for command, code, text in shell.typed), sep="\n")
    assert tuple(code for _, code, _ in shell.typed) == walk.ends, ended(shell)
    for command, code, text in shell.typed:
        assert code != EDGE or "refused" in text or "not pinned" in text, f"another edge: {command}"
        for words, said in walk.said.items():
            assert said in text or not command.startswith(words) or code in (0, EDGE), command


def test_what_goes_on_behind_the_edge_exists():
    missing = []
    for page, walk in HOW.items():
        for test in walk.beyond:
            file, _, name = test.partition("::")
            path = ROOT / "tests" / file
            if not path.exists() or (name and f"def {name}(" not in path.read_text()):
                missing.append(f"{page}: {test}")
    assert missing == []
    assert {page.stem for page in PAGES} == HOW.keys()


def test_control_a_page_that_goes_wrong_is_seen(made_once, tmp_path):
    """An option that does not exist, and a setting that is refused."""
    page = tmp_path / "page.md"
    page.write_text("    slipway check --colour\n\nand\n\n    slipway check    # well\n    cat inventory.yaml\n")
    shell = walked(page, Walk(), made_once, tmp_path / "own")
    assert [code for _, code, _ in shell.typed] == [2, 0]
    page.write_text("    defaults:\n      proxy: {http: http://me:secret@proxy.example.org}\n")
    with pytest.raises(InvalidInventory, match="has a user or a password"):
        walked(page, Walk(), made_once, tmp_path / "other")


def test_a_page_is_read_as_a_reader_does():
    text = """\
    deploy:
      parallel: 2

    slipway check  # well
    cat <<'EOF'
    git push

```console
$ git commit --message 'over
two lines'
3 files changed
```
"""
    found = [*blocks(text)]
    assert settings(found[0]) == {"deploy": {"parallel": 2}}
    assert [*commands(found[1])] == ["slipway check  # well\n", "git push\n"]
    assert [*commands(found[2])] == ["git commit --message 'over\ntwo lines'\n"]
