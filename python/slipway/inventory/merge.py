"""What a host inherits: its own settings, before its groups' (a later group first), before `defaults`."""

from __future__ import annotations

from collections.abc import Iterator

from slipway.inventory.source import Data, Keys, Source


def merge(data: dict[str, Data]) -> dict[str, Data]:
    """The inventory with every host complete and named, and without empty values.

    What has the wrong shape is passed on as it is, for the model to complain. Hosts of the same groups share what they
    inherit, so that a thousand hosts cost little.
    """
    clean = overlay({}, {key: value for key, value in data.items() if key != "hosts" and not key.startswith("x-")})
    hosts = data.get("hosts")
    if not isinstance(hosts, dict):
        return clean if hosts is None else {**clean, "hosts": hosts}
    bases: dict[tuple[str, ...], dict[str, Data]] = {}
    merged: dict[str, Data] = {}
    for name, entry in hosts.items():
        settings = {} if entry is None else entry
        if isinstance(settings, dict):
            groups = groups_of(settings)
            if groups not in bases:
                bases[groups] = _base(clean, groups)
            merged[name] = {**overlay(bases[groups], settings), "name": name}
        else:
            merged[name] = entry
    return {**clean, "hosts": merged}


def overlay(base: dict[str, Data], top: dict[str, Data]) -> dict[str, Data]:
    """`top` over `base`: mappings key by key, other values replace, None takes back what is inherited."""
    made = dict(base)
    for key, value in top.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, dict):
            inherited = made.get(key)
            made[key] = overlay(inherited if isinstance(inherited, dict) else {}, value)
        else:
            made[key] = value
    return made


def groups_of(entry: dict[str, Data]) -> tuple[str, ...]:
    named = entry.get("groups")
    return tuple(name for name in named if isinstance(name, str)) if isinstance(named, list) else ()


def _base(clean: dict[str, Data], groups: tuple[str, ...]) -> dict[str, Data]:
    known = clean.get("groups")
    layers = [clean.get("defaults")]
    layers += [known.get(name) for name in groups] if isinstance(known, dict) else []
    base: dict[str, Data] = {}
    for layer in layers:
        if isinstance(layer, dict):
            base = overlay(base, layer)
    return base


def layers_of(data: dict[str, Data], host: str) -> Iterator[Keys]:
    """Where a host's values can come from, the strongest first."""
    yield ("hosts", host)
    hosts = data.get("hosts")
    entry = hosts.get(host) if isinstance(hosts, dict) else None
    if isinstance(entry, dict):
        for group in reversed(groups_of(entry)):
            yield ("groups", group)
    yield ("defaults",)


def origin_of(source: Source, data: dict[str, Data], path: Keys) -> Keys:
    """Where the value at `path` of the merged inventory is written: `hosts.w1.ssh.port` may be `defaults.ssh.port`.

    For a value that is written nowhere, a missing key or a default of the model: where it would be added.
    """
    if len(path) < 3 or path[0] != "hosts":
        return path
    layers = list(layers_of(data, str(path[1])))
    for length in range(len(path), 2, -1):
        for layer in layers:
            if source.find((*layer, *path[2:length])) is not None:
                return (*layer, *path[2:])
    return path
