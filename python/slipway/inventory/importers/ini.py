"""The INI form of Ansible inventories."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from slipway.errors import InvalidInput

MOST_HOSTS: Final = 20_000
DEEPEST: Final = 100
"""Levels of groups below each other that count for which variables win."""


@dataclass
class Group:
    hosts: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)
    """Of the inventory itself."""
    from_files: dict[str, Any] = field(default_factory=dict)
    """Of group_vars, which win over those of the inventory, whatever group these are of."""


@dataclass
class Groups:
    """All groups of an Ansible inventory, and the variables of each host."""

    groups: dict[str, Group] = field(default_factory=dict)
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    _depths: dict[str, int] = field(default_factory=dict)
    _members: dict[str, dict[str, None]] = field(default_factory=dict)
    _below: dict[str, frozenset[str]] = field(default_factory=dict)

    def group(self, name: str) -> Group:
        return self.groups.setdefault(name, Group())

    def add(self, group: str, host: str, variables: dict[str, Any]) -> None:
        known = self.group(group).hosts
        if host not in self.variables or host not in known:
            known.append(host)
        self.variables.setdefault(host, {}).update(variables)
        if len(self.variables) > MOST_HOSTS:
            raise InvalidInput(f"more than {MOST_HOSTS} hosts")

    def members(self, name: str) -> dict[str, None]:
        """Hosts of a group and of the groups below it, in order, as keys; to be asked when all is read."""
        if name not in self._members:
            groups = [name, *sorted(self.below(name) - {name})]
            hosts = (self.groups[group].hosts for group in groups if group in self.groups)
            self._members[name] = dict.fromkeys(host for group in hosts for host in group)
        return self._members[name]

    def of_host(self, host: str) -> list[str]:
        """The groups of a host in the order in which their variables override each other, the strongest last.

        By depth, ansible_group_priority and name (ansible.inventory.helpers.sort_groups); `all` is the weakest.
        """
        names = [name for name in self.groups if name != "all" and host in self.members(name)]
        return ["all", *sorted(names, key=lambda name: (self._depth(name), self._priority(name), name))]

    def _priority(self, name: str) -> int:
        given = str(self.groups[name].variables.get("ansible_group_priority", 1))
        return int(given) if given.isdecimal() else 1

    def _depth(self, name: str) -> int:
        """How far below `all` a group is, by the longest way."""
        if not self._depths:
            self._depths = self._all_depths()
        return self._depths[name]

    def _all_depths(self) -> dict[str, int]:
        depths = dict.fromkeys(self.groups, 1)
        for _ in range(min(len(depths), DEEPEST)):
            ways = [(child, depths[name] + 1) for name, group in self.groups.items() for child in group.children]
            deeper = {child: depth for child, depth in sorted(ways) if depth > depths.get(child, 1)}
            deeper = {child: depth for child, depth in deeper.items() if child in depths}
            if not deeper:
                break
            depths.update(deeper)
        return {**depths, "all": 0}

    def below(self, name: str) -> frozenset[str]:
        """Names of all groups below a group, each looked at once; to be asked when all is read."""
        if name not in self._below:
            found: set[str] = set()
            waiting = [name]
            while waiting:
                group = self.groups.get(waiting.pop(), Group())
                waiting += [child for child in dict.fromkeys(group.children) if child not in found]
                found.update(group.children)
            self._below[name] = frozenset(found)
        return self._below[name]


def parse_ini(text: str, name: str, into: Groups) -> None:
    """Add what an INI inventory says. Raises InvalidInput with the line."""
    group, kind = "ungrouped", "hosts"
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith(("#", ";")):
            continue
        header = re.fullmatch(r"\[([^\[\]:]+)(?::(\w+))?\]\s*(?:[#;].*)?", line)
        if header:
            group, kind = header[1].strip(), header[2] or "hosts"
            into.group(group)
        elif kind == "children":
            child = _words(line, name, number)[0]
            into.group(child)
            into.group(group).children.append(child)
        elif kind == "vars":
            key, _, value = line.partition("=")
            into.group(group).variables[key.strip()] = _value(value)
        elif kind == "hosts":
            _host_line(line, name, number, group, into)
        else:
            raise InvalidInput(f"{name}:{number}: section [{group}:{kind}] is not Ansible's: hosts, children or vars")


def _host_line(line: str, name: str, number: int, group: str, into: Groups) -> None:
    pattern, *pairs = _words(line, name, number)
    variables: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals:
            raise InvalidInput(f"{name}:{number}: expected key=value after the host, found {pair!r}")
        variables[key] = value
    pattern, port = with_port(pattern)
    if port:
        variables.setdefault("ansible_port", port)
    for host in expand(pattern):
        into.add(group, host, variables)


def with_port(pattern: str) -> tuple[str, str]:
    """A host's name or range, and its port if it has one: `h:22`, `h[1:3]:22`, `[2001:db8::5]:22`."""
    address = re.fullmatch(r"\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\](?::(\d{1,5}))?", pattern)
    if address:
        return address[1], address[2] or ""
    named = re.fullmatch(r"((?:[^:\[\]]|\[[^\]]*\])+):(\d{1,5})", pattern)
    return (named[1], named[2]) if named else (pattern, "")


def _words(line: str, name: str, number: int) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise InvalidInput(f"{name}:{number}: {str(error).lower()}") from error
    if not words:
        raise InvalidInput(f"{name}:{number}: expected a host")
    return words


def _value(text: str) -> str:
    text = re.split(r"(?<=\s)[#;]", text, maxsplit=1)[0].strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def expand(pattern: str) -> Iterator[str]:
    """Host names of a pattern such as `w[01:20].example.org` or `db-[a:c]`. Raises InvalidInput for endless ones."""
    found = re.search(r"\[([0-9]+|[A-Za-z]):([0-9]+|[A-Za-z])(?::([0-9]+))?\]", pattern)
    if not found:
        yield pattern
        return
    for text in _range(found[1], found[2], int(found[3] or 1)):
        yield from expand(pattern[: found.start()] + text + pattern[found.end() :])


def _range(first: str, last: str, step: int) -> Iterator[str]:
    if first.isdigit() != last.isdigit() or step < 1 or max(len(first), len(last)) > 9:
        raise InvalidInput(f"[{first}:{last}] is no range of hosts")
    if first.isdigit():
        numbers = range(int(first), int(last) + 1, step)
        if len(numbers) > MOST_HOSTS:
            raise InvalidInput(f"[{first}:{last}] names more than {MOST_HOSTS} hosts")
        yield from (str(number).zfill(len(first)) for number in numbers)
    else:
        yield from (chr(code) for code in range(ord(first), ord(last) + 1, step))
