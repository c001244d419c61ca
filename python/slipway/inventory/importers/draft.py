"""An inventory in the making: what an importer found, and what it could not carry over."""

from __future__ import annotations

import io
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from slipway import words
from slipway.errors import InvalidInput
from slipway.inventory import reader
from slipway.inventory.builder import Builder
from slipway.inventory.kubernetes import slug
from slipway.inventory.model import API_VERSION, Role
from slipway.inventory.problem import Problem
from slipway.inventory.reader import compose
from slipway.inventory.releases import known_releases, newest_release
from slipway.inventory.values import RESERVED_NAMES
from slipway.words import first_of

MOST_VALUES = 200_000
"""Values of one file of another tool, aliases put in: thousands of hosts, and a fraction of a second."""
STDIN = Path("-")
"""Stands for standard input, as a name of a file."""
SHOWN = 3
"""Places that a note names before it only counts them."""

_MISSING_NETWORK = """  # The source does not tell the hosts' links. Say them here, or for single hosts below:
  # network: {interface: eno1, prefixLength: 24, gateway: 10.0.0.1, nameservers: [10.0.0.1]}"""


@dataclass(frozen=True)
class Imported:
    """The text of an inventory.yaml, and what of the source is not in it."""

    text: str
    notes: tuple[str, ...]


@dataclass
class Draft:
    """Sections as plain data with the file's own keys. `hosts` holds role, address, ssh and so on by name."""

    cluster: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    hosts: dict[str, dict[str, Any]] = field(default_factory=dict)
    _noted: dict[str, dict[str, None]] = field(default_factory=dict)

    def note(self, text: str, where: str = "") -> None:
        """Say something about the source, in whatever words it has: as a comment it is one line all the same.

        What is to be said of several places is said once, with the first of them and how many more there are.
        """
        places = self._noted.setdefault(text, {})
        if where:
            places[where] = None

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(_placed(text, tuple(places)) for text, places in self._noted.items())

    def add_host(self, wanted: str, role: Role | None, entry: dict[str, Any]) -> None:
        """Add a host under the nearest free name; an address or nothing as `wanted` makes a name of the role."""
        settings = {"address": entry.pop("address", None), "role": role.value if role else None, **entry}
        port = str(settings.get("ssh", {}).get("port", ""))
        if port.isdecimal():
            settings["ssh"]["port"] = int(port)
        self.hosts[self._free_name(wanted, role)] = {key: value for key, value in settings.items() if value}

    def _free_name(self, wanted: str, role: Role | None) -> str:
        is_name = bool(wanted) and not re.fullmatch(r"[0-9.]+|.*:.*", wanted)
        name = slug(wanted.split(".")[0]) if is_name else ""
        if name and name not in self.hosts and name not in RESERVED_NAMES:
            return self._renamed(wanted, name)
        base = name or ("worker" if role in (Role.WORKER, None) else "controller")
        number = next(n for n in range(1, len(self.hosts) + 2) if f"{base}-{n}" not in self.hosts)
        return self._renamed(wanted, f"{base}-{number}")

    def _renamed(self, wanted: str, name: str) -> str:
        if wanted and wanted != name:
            self.note("a host's name is a DNS label and its node's name", f"host {wanted} is named {name}")
        return name

    def render(self, title: str) -> Imported:
        """The inventory as text, its notes as comments at the top."""
        self._complete()
        defaults = _lifted(self.hosts)
        if self.network:
            defaults["network"] = self.network
        lines = [f"# {words.line(title)}"]
        if self.notes:
            lines += ["#", "# Not carried over, or to look at:", *(f"# - {words.line(note)}" for note in self.notes)]
        lines += [f"apiVersion: {API_VERSION}", "", _yaml({"cluster": self.cluster})]
        lines += [_yaml({"defaults": defaults}).rstrip() if defaults else "defaults:"]
        if not self.network and not all("prefixLength" in host.get("network", {}) for host in self.hosts.values()):
            lines.append(_MISSING_NETWORK)
            self.note("network.interface and network.prefixLength of the hosts: say them in `defaults` before `check`")
        lines += ["", _yaml({"hosts": self.hosts})]
        return Imported("\n".join(lines), self.notes)

    def _complete(self) -> None:
        self.cluster.setdefault("name", "cluster")
        self.cluster["name"] = slug(self.cluster["name"]) or "cluster"
        k0s = self.cluster.setdefault("k0s", {})
        newest = newest_release()
        if "version" not in k0s:
            k0s["version"] = newest
            self.note(f"no k0s release is named; the newest known one, {newest}, is taken")

    def release(self, version: str, where: str) -> None:
        """Take a release of k0s, or the nearest that slipway packages. `version` with a v in front or without."""
        wanted = version.removeprefix("v")
        if wanted in known_releases():
            self.cluster.setdefault("k0s", {})["version"] = wanted
            return
        minor = re.match(r"1\.\d+\.", wanted)
        nearest = (newest_release(minor[0]) if minor else None) or newest_release()
        self.cluster.setdefault("k0s", {})["version"] = nearest
        if re.fullmatch(r"1\.\d+\.\d+\+k0s\.\d+", wanted):
            self.note(f"{where} {version} is no release that slipway packages; {nearest} is taken")
        else:
            self.note(f"{where} {version!r} names no release such as 1.36.3+k0s.2; {nearest} is taken")

    def resolve(self, lookup: Callable[[str], str | None]) -> None:
        """Put the IP addresses of names in their places; `lookup` gives None for a name that has none."""
        for name, host in self.hosts.items():
            given = str(host.get("address") or "")
            if given and not is_address(given):
                found = lookup(given)
                if found is None:
                    self.note("no IP address is known for the name; put it into `address`", f"{name} ({given})")
                else:
                    host["address"] = found


def is_address(word: str) -> bool:
    """Whether a word looks like an IP address and not like a name."""
    return re.fullmatch(r"[0-9.]+|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*", word) is not None


PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy")
_NOT_BY_PROXY = ("localhost", "127.0.0.1", "::1", "127.0.0.0/8")
"""Which slipway leaves out of every proxy by itself."""


def proxy_of(said: Mapping[str, Any], draft: Draft, where: str) -> dict[str, Any]:
    """The inventory's proxy for the three variables that programs read."""
    proxy: dict[str, Any] = {}
    for key, name in (("http", "http_proxy"), ("https", "https_proxy")):
        if "@" in str(said.get(name) or ""):
            draft.note(f"{name}: its address has a password, which is no word for an inventory", where)
        elif said.get(name):
            proxy[key] = str(said[name])
    outside = said.get("no_proxy") or ""
    words = [text(each) for each in outside] if isinstance(outside, list) else str(outside).split(",")
    without = [each.strip() for each in words if each.strip() and each.strip() not in _NOT_BY_PROXY]
    if proxy and without:
        proxy["noProxy"] = without
    elif without:
        draft.note("no_proxy: without a proxy it says nothing", where)
    return proxy


def _placed(text: str, places: tuple[str, ...]) -> str:
    if not places:
        return text
    return f"{first_of(places, SHOWN)}: {text}"


def _lifted(hosts: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Take the ssh settings and the proxy that all hosts share out of them, for `defaults`."""
    lifted: dict[str, Any] = {}
    for key in ("user", "port", "identity", "jump"):
        values = Counter(str(host.get("ssh", {}).get(key)) for host in hosts.values())
        common, count = values.most_common(1)[0] if values else ("None", 0)
        if common != "None" and count == len(hosts):
            lifted[key] = next(iter(hosts.values()))["ssh"][key]
            for host in hosts.values():
                del host["ssh"][key]
    for host in hosts.values():
        if not host.get("ssh"):
            host.pop("ssh", None)
    shared = {"ssh": lifted} if lifted else {}
    proxies = [host.get("proxy") for host in hosts.values()]
    if proxies and proxies[0] and all(each == proxies[0] for each in proxies):
        shared["proxy"] = proxies[0]
        for host in hosts.values():
            del host["proxy"]
    return shared


def _yaml(value: dict[str, Any]) -> str:
    yaml = YAML()
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.width = 1 << 20
    stream = io.StringIO()
    yaml.dump(value, stream)
    return stream.getvalue()


# --- reading what others wrote ---------------------------------------------------------------------------------------


def read_bytes(path: Path) -> bytes:
    """The bytes of a file that the user named. Raises InvalidInput, also for what is no file or is too big for one."""
    try:
        raw = sys.stdin.buffer.read(reader.MOST_BYTES + 1) if path == STDIN else reader.read_bytes(path)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from error
    if len(raw) > reader.MOST_BYTES:
        raise InvalidInput(f"{path}: larger than {reader.MOST_BYTES >> 20} MiB: is it the right file?")
    return raw


def parse_yaml(raw: bytes, name: str, draft: Draft) -> Any:  # noqa: ANN401 (plain data of unknown shape)
    """Plain data of one YAML document; tags and duplicate keys become notes. Raises InvalidInput with the place."""
    node = compose(raw, name)
    if isinstance(node, Problem):
        _require_no_template(raw, name)
        raise InvalidInput(str(node))
    if node is None:
        return None
    builder = Builder(typed=True, most=MOST_VALUES)
    data = builder.plain(node)
    if builder.problems:
        _require_no_template(raw, name)
    if data is None and builder.problems:
        raise InvalidInput(str(builder.problems[-1]))
    for problem in builder.problems:
        if "!vault" not in problem.message:  # told with the key that it hides
            draft.note(f"{problem.file}:{problem.line}: {problem.message.removesuffix('; remove it')}")
    return data


_TEMPLATE = re.compile(rb"""^[ \t]*(?:\{%|<%)|^[^#'"\n]*?[:-][ \t]+(?:\{\{|<%)""", re.MULTILINE)
"""A statement of Jinja, Go's templates or ERB, or a value of theirs without the quotes that YAML wants."""


def _require_no_template(raw: bytes, name: str) -> None:
    """Asked of what is no sound YAML: what stands within texts is anybody's."""
    if found := _TEMPLATE.search(raw):
        line = raw.count(b"\n", 0, found.start()) + 1
        raise InvalidInput(
            f"{name}:{line}: is a template", hint="render it with the tool that it is for, import the result"
        )


def documents(raw: bytes) -> Iterable[bytes]:
    """The documents of a YAML stream, each with empty lines before it so that lines keep their numbers."""
    lines = 0
    for part in re.split(rb"(?m)^---[ \t]*(?:#.*)?\r?\n", raw):
        yield b"\n" * lines + part
        lines += part.count(b"\n") + 1


def mapping(value: object) -> dict[str, Any]:
    """The value where it is a mapping, else an empty one: files of others hold anything."""
    return value if isinstance(value, dict) else {}


def text(value: object) -> str:
    """A value as YAML writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
