"""`slipway lab init`: a user's repository for the lab that runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from slipway.errors import PrerequisiteMissing, UsageError
from slipway.generate.gitops.apps import BOOTSTRAP
from slipway.generate.gitops.secrets import BY_NAME
from slipway.inventory import edit, load
from slipway.lab import account, definitions, family, keys, registry, until
from slipway.lab.charts import repositories
from slipway.lab.images import tag
from slipway.lab.settings import Lab, LabRole, Machine
from slipway.lab.state import recorded
from slipway.paths import resource
from slipway.secrets import making, store
from slipway.stages.comeback import MODE
from slipway.tools.run import find_program

CLUSTER = "lab"
ACCOUNT = BY_NAME["backup-s3"]
SHELL = Path("nixos/lab/programs/busybox")
"""Where nixos/lab/pkgs.nix looks for it."""
_LINE_WIDTH = 120


def write(lab: Lab, directory: Path) -> tuple[Path, ...]:
    """Write inventory.yaml (unless it is there: it is the user's) and known_hosts; return what was changed.

    Raises UsageError where the lab has no machines yet.
    """
    machines = recorded(lab)
    if not machines:
        raise UsageError("the lab has no machines yet", hint="slipway lab up")
    directory.mkdir(parents=True, exist_ok=True)
    inventory, known_hosts = directory / "inventory.yaml", directory / "known_hosts"
    changed = [known_hosts] if _pin(machines, known_hosts) else []
    if not inventory.exists():
        _write_inventory(lab, machines, inventory)
        changed.insert(0, inventory)
    return tuple(changed)


def fill(lab: Lab, directory: Path) -> tuple[Path, ...]:
    """Encrypt the login of the lab's S3 account for the stages that save there, in the place of another lab's; and what
    these stages want beside it. Of an account that is new nothing can be restored: the inventory says install again.

    Return what was written; nothing where the lab has no such stage."""
    if until.chosen(lab) == BOOTSTRAP:
        return ()
    inventory, login = load(directory / "inventory.yaml"), account.login(lab)
    made = making.fill(inventory, {ACCOUNT.name: login}).files
    if store.read(directory, ACCOUNT.file).values != login:
        repeated = (directory / path for path in making.repeat(inventory))
        made = (*made, making.save(directory, ACCOUNT, login), *repeated)
        if inventory.stages.mode == "restore":
            edit.change(inventory.path, MODE, "install")
            made = (*made, inventory.path)
    return made


def programs() -> Mapping[Path, bytes]:
    """What builds of the lab's flake run, by their path in it: a build of a repository has no file of this machine
    (Nix's sandbox), and needs no setting that takes it one. Raises PrerequisiteMissing."""
    busybox = find_program("busybox")
    if busybox is None:
        raise PrerequisiteMissing(
            "busybox: the lab's builds run it, and it is not on PATH", hint="slipway lab packages"
        )
    return {SHELL: busybox.read_bytes()}


def _pin(machines: Sequence[Machine], known_hosts: Path) -> bool:
    """Pin the keys of the lab's machines; lines for others stay. Did that change the file?"""
    ours = [keys.known_hosts_line(machine) for machine in machines]
    names = {line.split()[0] for line in ours}
    before = known_hosts.read_text().splitlines(keepends=True) if known_hosts.exists() else []
    others = [line for line in before if line.partition(" ")[0] not in names]
    if [*others, *ours] == before:
        return False
    known_hosts.write_text("".join([*others, *ours]))
    return True


def _write_inventory(lab: Lab, machines: Sequence[Machine], target: Path) -> None:
    """The example's inventory, comments and all, with this lab's machines and places."""
    yaml = YAML()
    yaml.width = _LINE_WIDTH
    document = yaml.load(resource("examples") / "lab" / "inventory.yaml")
    document["cluster"]["name"] = CLUSTER
    ssh = document["defaults"]["ssh"]
    ssh["identity"] = str(lab.identity)
    # Without its key in the first deployed system, the lab could not reach its machines again.
    ssh["authorizedKeys"] = [lab.identity.with_suffix(".pub").read_text().strip()]
    _replace_hosts(document["hosts"], machines)
    if lab.ipv6_mark.exists():
        document["cluster"]["network"].update(podCIDR=family.POD_CIDR, serviceCIDR=family.SERVICE_CIDR)
    document["defaults"]["network"]["prefixLength"] = lab.subnet.prefixlen
    if sum(machine.role is LabRole.CONTROLLER for machine in machines) > 1:
        # With several controllers, as a site has them: one address that is always one of theirs.
        document["cluster"]["network"]["vip"] = {"address": f"{lab.virtual_address}/{lab.subnet.prefixlen}"}
    last = until.chosen(lab)
    mirrored = repositories(last) | (definitions.repositories() if last != BOOTSTRAP else set())
    document["mirrors"]["charts"] = {name: registry.address(lab) for name in sorted(mirrored)}
    document["stages"] = _bootstrap() if last == BOOTSTRAP else _with_apps(lab, last)
    with target.open("w", encoding="utf-8") as stream:
        yaml.dump(document, stream)


def _bootstrap() -> dict[str, Any]:
    """The lab has the programs of the first stage, and its own Gitea has the version that its Go module has."""
    return {"until": BOOTSTRAP, "images": {"gitea": tag("gitea")}}


def _with_apps(lab: Lab, last: str) -> dict[str, Any]:
    """The lab has no Forgejo and no GitLab; all else of cluster-base-apps is there, and volumes are saved in its S3
    account. Of cluster-apps it has the sample."""
    return {
        "until": last,
        "mode": "install",
        "codeHosting": {"kind": "none"},
        "backup": {"repository": account.address(lab)},
        "charts": dict(definitions.other_versions()),
        "images": {name: tag(name) for name in ("gitea", "openbao")},
    }


def _replace_hosts(hosts: Any, machines: Sequence[Machine]) -> None:  # noqa: ANN401 (ruamel's mapping, with comments)
    example = next(iter(hosts.values()))
    hosts.clear()  # not replaced: the comments around them belong to the mapping
    for machine in machines:
        entry = type(example)({"address": machine.address, "role": machine.role.value})
        entry.fa.set_flow_style()
        hosts[machine.name] = entry
