"""`slipway check`, `schema`, `inventory`, `import` and `export`: the inventory as users see it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from slipway.cli.console import print_json, print_table, say, tell, write
from slipway.cli.options import INVENTORY, ExcludeOption, InventoryOption, JsonOption, Selection
from slipway.errors import ChangesPending, UsageError
from slipway.inventory import InvalidInventory, Inventory, Problem, load
from slipway.inventory.load import read
from slipway.inventory.mounts import without_root
from slipway.inventory.problem import told
from slipway.inventory.source import Keys, in_file_order
from slipway.paths import ENCRYPTION_KEY
from slipway.secrets.plain import require_none
from slipway.words import counted

app = typer.Typer(help="Look at the inventory, or format it.", no_args_is_help=True)
import_app = typer.Typer(help="Make an inventory of another tool's files.", no_args_is_help=True)
export_app = typer.Typer(help="Write the inventory in the words of other tools.", no_args_is_help=True)

OutputOption = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write here, to a new file; default: standard output.")
]


def check(inventory: InventoryOption = INVENTORY, as_json: JsonOption = False) -> None:
    """Tell every mistake of the inventory, with its place, and secrets that are not encrypted; nothing is contacted.

    Example: slipway check
    """
    try:
        found = load(inventory, to_start=True)
        _require_packs(found)
    except InvalidInventory as error:
        refused = _with_packs(inventory, error)
        if not as_json:
            raise refused from None
        print_json({"valid": False, "problems": _plain(refused.problems), "warnings": []})
        raise typer.Exit(refused.exit_code) from None
    warnings = (*found.warnings, *without_root(found), *_missing_key(found), *_idle_mirrors(found), *_unseen(found))
    require_none(found.root)
    if as_json:
        print_json({"valid": True, "problems": [], "warnings": _plain(warnings)})
        return
    for line in told(warnings):
        say(f"warning: {line}")
    tell(f"{found.path}: {_summary(found, len(warnings))}")


_PACKS: Keys = ("verify", "packs")
_WAVES: Keys = ("deploy", "waves", "verify")


def _require_packs(inventory: Inventory) -> None:
    """What `verify` would refuse is refused here already. Raises InvalidInventory."""
    named = {_PACKS: inventory.verify.packs, _WAVES: inventory.deploy.waves.verify}
    found = list(_unknown_packs(inventory.root, named))
    if found:
        source, _ = read(inventory.path)
        problems = [source.place(path).problem(path, message) for path, message in found]
        raise InvalidInventory(in_file_order(problems, str(inventory.path)))


def _with_packs(path: Path, refused: InvalidInventory) -> InvalidInventory:
    """What was refused, and packs that there are not: a name is wrong whatever else is."""
    try:
        source, data = read(path)
    except InvalidInventory:
        return refused  # not even YAML, or of another version
    lists = {path: value for path in (_PACKS, _WAVES) if isinstance(value := _at(data, path), list)}
    told_of = {problem.path for problem in refused.problems}
    unknown = [source.place(at).problem(at, words) for at, words in _unknown_packs(Path(source.main).parent, lists)]
    more = [problem for problem in unknown if problem.path not in told_of]
    problems = in_file_order([*refused.problems, *more], source.main)
    return InvalidInventory(problems, hint=refused.hint)


def _at(data: Any, path: Keys) -> Any:  # noqa: ANN401 (plain data of any shape)
    for part in path:
        data = data.get(part) if isinstance(data, dict) else None
    return data


def _unknown_packs(root: Path, named: Mapping[Keys, Sequence[Any]]) -> Iterator[tuple[Keys, str]]:
    from slipway.verify.catalog import advice, in_repository

    known = in_repository(root)
    for path, packs in named.items():
        for index, name in enumerate(packs):
            if isinstance(name, str) and name not in known:
                yield (*path, index), f"no pack is called {name!r}; {advice(name, known)}"


def _missing_key(inventory: Inventory) -> tuple[Problem, ...]:
    """Deploy wants the key for encrypting Secrets at rest, which repositories from before do not have."""
    if not inventory.cluster.k0s.encrypt_secrets or (inventory.root / ENCRYPTION_KEY).exists():
        return ()
    message = f"{ENCRYPTION_KEY}, the key for it, is missing; the next command: slipway init ."
    return (Problem(str(inventory.path), 1, 1, "cluster.k0s.encryptSecrets", message),)


def _idle_mirrors(inventory: Inventory) -> Iterator[Problem]:
    """A stand-in for a place from which no chart comes leaves the real one to be asked."""
    if not inventory.mirrors.charts:
        return  # before anything is imported for it
    from slipway.generate.gitops.charts import idle_mirrors

    idle = idle_mirrors(inventory.mirrors.charts)
    if not idle:
        return
    source, _ = read(inventory.path)
    for repository, meant in idle.items():
        path: Keys = ("mirrors", "charts", repository)
        fix = f"; did you mean {meant}?" if meant else "; the files ocirepository.yaml below gitops/ name those that do"
        yield source.place(path, key=True).problem(path, f"no chart of slipway's comes from there{fix}")


def _unseen(inventory: Inventory) -> Iterator[Problem]:
    """Flakes see what Git knows. Where Git itself is missing, `slipway doctor` and every build say so."""
    root = inventory.root.resolve()
    if not any((folder / ".git").exists() for folder in (root, *root.parents)):
        return  # before anything is imported for it
    from slipway.rollout.sources import unseen
    from slipway.tools.run import find_program

    if find_program("git") is not None:
        for path, advice in unseen(inventory.root).items():
            yield Problem(str(inventory.root / path), 1, 1, "git", advice)


def _summary(inventory: Inventory, warnings: int) -> str:
    parts = [(len(inventory.hosts), "host"), (len(inventory.controllers), "controller")]
    parts += [(len(inventory.workers), "worker"), (warnings, "warning")]
    return ", ".join(counted(count, word) for count, word in parts) + ", no problems"


def _plain(problems: tuple[Problem, ...]) -> list[dict[str, Any]]:
    return [asdict(problem) for problem in problems]


def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="The reference page in place of the JSON Schema.")
    ] = False,
    included: Annotated[
        bool, typer.Option("--included", help="The schema of files that inventory.yaml includes.")
    ] = False,
) -> None:
    """Print the JSON Schema of inventory.yaml, for editors.

    Example: slipway schema > inventory.schema.json
    """
    from slipway.inventory.reference import reference
    from slipway.inventory.schema import schema as made

    if markdown:
        write(reference())
    else:
        print_json(made(included=included))


# --- slipway inventory -----------------------------------------------------------------------------------------------


@app.command("list")
def list_hosts(
    nodes: Selection = None,
    exclude: ExcludeOption = None,
    inventory: InventoryOption = INVENTORY,
    as_json: JsonOption = False,
) -> None:
    """List hosts; the way to see what a selection means before it is used.

    `worker,cp1` is either, `worker+@rack-a` both; quote globs.

    Example: slipway inventory list worker+@rack-a --exclude w3
    """
    from slipway.inventory.select import select

    found = select(load(inventory), nodes or (), exclude or ())
    rows = [(host.name, host.address, host.role.value, ",".join(host.groups), ",".join(host.tags)) for host in found]
    if as_json:
        print_json([dict(zip(("name", "address", "role", "groups", "tags"), row, strict=True)) for row in rows])
        return
    print_table(("name", "address", "role", "groups", "tags"), rows)


@app.command()
def show(
    host: Annotated[str, typer.Argument(help="Name of the host.")],
    with_origins: Annotated[bool, typer.Option("--origins", help="Tell where each value comes from.")] = False,
    inventory: InventoryOption = INVENTORY,
    as_json: JsonOption = False,
) -> None:
    """Show one host with everything that it inherits.

    Example: slipway inventory show w1 --origins
    """
    found = load(inventory)
    if as_json and not with_origins:
        print_json(found.host(host).model_dump(mode="json", by_alias=True))
        return
    from slipway.inventory.origins import origins

    values = origins(found, host)
    if as_json:
        print_json([{"key": value.key, "value": value.value, "origin": str(value)} for value in values])
        return
    for value in values:
        tell(f"{value.key}: {value.value}{f'   ({value})' if with_origins else ''}")


@app.command()
def fmt(
    only_check: Annotated[bool, typer.Option("--check", help="Only tell; exit 4 if a file is not formatted.")] = False,
    inventory: InventoryOption = INVENTORY,
    as_json: JsonOption = False,
) -> None:
    """Format the inventory and the files that it includes; comments stay.

    Example: slipway inventory fmt
    """
    from slipway.inventory.fmt import files_of, format_text

    changed = []
    for file in files_of(inventory):
        text = file.read_text(encoding="utf-8-sig")
        formatted = format_text(text, str(file))
        if formatted != text:
            changed.append(str(file))
            if not only_check:
                file.write_text(formatted, encoding="utf-8")
    if as_json:
        print_json({"formatted" if not only_check else "unformatted": changed})
    if changed and only_check:
        raise ChangesPending(f"not formatted: {', '.join(changed)}", hint="slipway inventory fmt")
    if not as_json:
        say(f"formatted: {', '.join(changed)}" if changed else "already formatted")


# --- slipway import --------------------------------------------------------------------------------------------------

InterfaceOption = Annotated[str | None, typer.Option(help="Link of the hosts' addresses, such as eno1.")]
PrefixOption = Annotated[int | None, typer.Option(help="Prefix length of the hosts' addresses, such as 24.")]
GatewayOption = Annotated[str | None, typer.Option(help="The hosts' gateway.")]
ResolveOption = Annotated[
    bool, typer.Option("--resolve", help="Ask for the IP addresses of hosts that are given by name.")
]
NameserverOption = Annotated[list[str] | None, typer.Option(help="The hosts' name servers.")]


@import_app.command("k0sctl")
def import_k0sctl(
    file: Annotated[Path, typer.Argument(help="The k0sctl.yaml; - for standard input.")],
    output: OutputOption = None,
    resolve: ResolveOption = False,
    interface: InterfaceOption = None,
    prefix_length: PrefixOption = None,
    gateway: GatewayOption = None,
    nameserver: NameserverOption = None,
) -> None:
    """Make an inventory of a k0sctl configuration.

    Variables are filled in from the environment, as k0sctl does. What cannot be carried over is told, and stands at the
    top of the new file.

    Example: slipway import k0sctl k0sctl.yaml -o inventory.yaml --interface eno1 --prefix-length 24
    """
    from slipway.inventory.importers.k0sctl import import_k0sctl as run

    network = _network(interface, prefix_length, gateway, nameserver)
    imported = run(file, network, environment=os.environ, lookup=_lookup() if resolve else None)
    _deliver(imported.text, imported.notes, output)


@import_app.command("ansible")
def import_ansible(
    path: Annotated[
        Path, typer.Argument(help="INI, YAML, or JSON of ansible-inventory; or its folder; - for standard input.")
    ],
    output: OutputOption = None,
    group: Annotated[str | None, typer.Option("--group", help="Only the hosts of this group.", metavar="GROUP")] = None,
    resolve: ResolveOption = False,
    interface: InterfaceOption = None,
    prefix_length: PrefixOption = None,
    gateway: GatewayOption = None,
    nameserver: NameserverOption = None,
) -> None:
    """Make an inventory of an Ansible inventory with its group_vars and host_vars.

    What cannot be carried over is told, and stands at the top of the new file.

    Example: slipway import ansible hosts.ini -o inventory.yaml --interface eno1 --prefix-length 24

    Example: ansible-inventory --list | slipway import ansible - --group k8s_cluster
    """
    from slipway.inventory.importers.ansible import import_ansible as run

    network = _network(interface, prefix_length, gateway, nameserver)
    imported = run(path, network, group=group, lookup=_lookup() if resolve else None)
    _deliver(imported.text, imported.notes, output)


def _lookup() -> Callable[[str], str | None]:
    from slipway.inventory.importers.names import lookup

    return lookup


def _network(
    interface: str | None, prefix_length: int | None, gateway: str | None, nameservers: list[str] | None
) -> dict[str, Any]:
    given = {"interface": interface, "prefixLength": prefix_length, "gateway": gateway, "nameservers": nameservers}
    return {key: value for key, value in given.items() if value}


def _deliver(text: str, notes: tuple[str, ...], output: Path | None) -> None:
    for note in notes:
        say(f"note: {note}")
    if output is None:
        write(text)
        return
    try:
        with output.open("x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UsageError(f"{output} exists; it is not overwritten", hint="-o with another name") from None
    say(f"wrote {output}; next: slipway check -i {output}")


# --- slipway export --------------------------------------------------------------------------------------------------


@export_app.command("ansible")
def export_ansible(inventory: InventoryOption = INVENTORY) -> None:
    """Print a YAML inventory for Ansible.

    Example: slipway export ansible > hosts.yaml
    """
    from slipway.inventory.export import ansible

    write(ansible(load(inventory)))


@export_app.command("ssh-config")
def export_ssh_config(inventory: InventoryOption = INVENTORY) -> None:
    """Print host blocks for OpenSSH.

    Example: slipway export ssh-config > ~/.ssh/homelab
    """
    from slipway.inventory.export import ssh_config

    write(ssh_config(load(inventory)))


@export_app.command("hosts")
def export_hosts(inventory: InventoryOption = INVENTORY) -> None:
    """Print lines for /etc/hosts.

    Example: slipway export hosts
    """
    from slipway.inventory.export import hosts_file

    write(hosts_file(load(inventory)))
