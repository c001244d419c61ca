"""The single values of an inventory: what they look like, and what to say when they do not.

Every value arrives as the text that stands in the file (builder.py), so `26.10` stays a version and a MAC address never
becomes a number. Validators return the canonical text or raise ValueError with a message for people. They are cached
where many hosts share a value.
"""

from __future__ import annotations

import base64
import binascii
import re
import zoneinfo
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from slipway import slips
from slipway.inventory.address import address_of, interface_of, network_of, text_of, way_of
from slipway.inventory.kubernetes import dns_label, dns_name, label_key, label_value, taint
from slipway.inventory.releases import newest_release


def _canonical_address(text: str) -> str:
    return text_of(address_of(text))


def _canonical_cidr(text: str) -> str:
    network_of(text)
    return text.lower()


def _canonical_interface_address(text: str) -> str:
    interface_of(text)
    return text.lower()


@lru_cache(maxsize=1024)
def _address_or_name(text: str) -> str:
    if url := re.fullmatch(r"[a-z]+://(\[[0-9a-fA-F:]+\]|[^/:]+)(:[0-9]+)?(/.*)?", text):
        raise ValueError(f"{text!r} is a URL; write it without scheme and port: {url[1].strip('[]')}")
    if port := re.fullmatch(r"([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*):[0-9]{1,5}", text):
        raise ValueError(f"{text!r} has a port; write it without: {port[1]}")
    if ":" in text or re.fullmatch(r"[0-9.]+", text):
        return _canonical_address(text)
    return dns_name(text)


def _jump_host(text: str) -> str:
    """The canonical form: brackets around an IPv6 address, and no port where it is 22."""
    way = way_of(text)
    address = _address_or_name(way.address)
    shown = f"[{address}]" if ":" in address else address
    user = f"{_user_name(way.user)}@" if way.user else ""
    return f"{user}{shown}" + ("" if way.port == 22 else f":{way.port}")


@lru_cache(maxsize=65536)
def _mac(text: str) -> str:
    if re.fullmatch(r"([0-9a-fA-F]{2}:){5}[0-9a-fA-F]{2}", text):
        return _usable_mac(text.lower())
    digits = re.sub(r"[^0-9a-fA-F]", "", text).lower()
    separated = re.fullmatch(r"[0-9a-fA-F.:-]+", text)
    fix = f"; did you mean {':'.join(re.findall('..', digits))}?" if separated and len(digits) == 12 else ""
    raise ValueError(f"{text!r} is not a MAC address like 52:54:00:12:34:56{fix}")


def _usable_mac(text: str) -> str:
    if text in ("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"):
        raise ValueError(f"{text!r} belongs to no network card")
    if int(text[:2], 16) & 1:
        raise ValueError(f"{text!r} is a multicast address; no network card has one")
    return text


@lru_cache(maxsize=4096)
def _link(text: str) -> str:
    if not text or len(text) > 15:
        raise ValueError(f"{text!r} is not a link name: 1 to 15 characters, as Linux has it")
    if text in (".", "..", "lo") or not re.fullmatch(r"[A-Za-z0-9_.@-]+", text):
        raise ValueError(f"{text!r} is not a link name such as eno1, bond0 or enp3s0f1")
    return text


KEY_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


@lru_cache(maxsize=4096)
def _public_key(text: str) -> str:
    if "PRIVATE KEY" in text:
        raise ValueError("this is a private key; put the public one here (the .pub file) and make a new pair")
    kind, _, rest = text.strip().partition(" ")
    body = rest.split(" ", 1)[0]
    if kind not in KEY_TYPES:
        raise ValueError(
            f"{text[:40]!r} is not an SSH public key; it starts with one of {', '.join(KEY_TYPES[:3])}, ..."
        )
    try:
        blob = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        blob = b""
    if blob[4 : 4 + len(kind)] != kind.encode() or "\n" in text.strip():
        raise ValueError(f"{text[:40]!r}: the key is damaged (cut off or wrapped); copy the one line of the .pub file")
    if not text.strip().isprintable():
        raise ValueError(f"{text[:40]!r}: the comment of the key has characters that do not print")
    return text.strip()


SIZE_UNITS = {"Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
TIME_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def with_unit(number: int, units: Mapping[str, int]) -> str:
    """The number as a user would write it: 1Gi, 30d."""
    unit, size = max(((unit, size) for unit, size in units.items() if number % size == 0), key=lambda pair: pair[1])
    return f"{number // size}{unit}"


def _bytes(value: object) -> int:
    """The number of a size; a number is what an earlier validation made of it."""
    return value if type(value) is int else _size(_one_text(value, "a size like 512Mi or 32Gi"))


def _one_text(value: object, wanted: str) -> str:
    if isinstance(value, str):
        return value
    raise ValueError(f"{'a mapping' if isinstance(value, dict) else 'a list'} is not {wanted}")


@lru_cache(maxsize=1024)
def _size(text: str) -> int:
    match = re.fullmatch(r"([1-9][0-9]{0,8})(Mi|Gi|Ti)", text)
    if match:
        return int(match[1]) * SIZE_UNITS[match[2]]
    close = re.fullmatch(r"([1-9][0-9]{0,8}) ?([MGT])(i?B?)", text, re.IGNORECASE)
    fix = f"; did you mean {close[1]}{close[2].upper()}i?" if close else ""
    raise ValueError(f"{text!r} is not a size like 512Mi or 32Gi{fix}")


def _seconds(value: object) -> float:
    """The seconds of a duration; a number is what an earlier validation made of it."""
    return value if type(value) is float else duration(_one_text(value, "a duration like 30s, 10m or 24h"))


@lru_cache(maxsize=1024)
def duration(text: str) -> float:
    """Seconds of 30s, 10m, 24h or 7d. Raises ValueError."""
    match = re.fullmatch(r"([1-9][0-9]{0,6})([smhd])", text)
    if match:
        return float(int(match[1]) * TIME_UNITS[match[2]])
    fix = f"; did you mean {text}s?" if re.fullmatch(r"[1-9][0-9]*", text) else ""
    raise ValueError(f"{text!r} is not a duration like 30s, 10m or 24h{fix}")


@lru_cache(maxsize=1024)
def share(text: str) -> str:
    """A count or a percentage, as it stands there. Raises ValueError."""
    match = re.fullmatch(r"([1-9][0-9]{0,4})(%?)", text)
    if match is None:
        raise ValueError(f"{text!r} is neither a count like 5 nor a part like 25%")
    if match[2] and int(match[1]) > 100:
        raise ValueError(f"{text!r} is more than all of them; at most 100%")
    return text


def part_of(text: str, total: int) -> int:
    """How many of `total` a Share is: a part is rounded up, so that it is never none."""
    return -(-int(text[:-1]) * total // 100) if text.endswith("%") else int(text)


def _digits(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"-?[0-9]{1,18}", value):
        raise ValueError(f"{value[:60]!r} is not a whole number")
    return value


def _truth(value: object) -> object:
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, str):
        yes = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(value.lower(), value.lower())
        fix = f"; did you mean {yes}?" if yes in ("true", "false") else ""
        raise ValueError(f"{value!r} is neither true nor false{fix}")
    return value


@lru_cache(maxsize=4096)
def _device(text: str) -> str:
    if re.fullmatch(r"/dev/disk/by-(id|path)/[A-Za-z0-9_.:@+=-]+", text):
        if re.search(r"-part[0-9]+$", text):
            whole = re.sub(r"-part[0-9]+$", "", text)
            raise ValueError(f"{text!r} is a partition; did you mean the disk {whole}?")
        return text
    if text.startswith("/dev/") and not text.startswith("/dev/disk/"):
        raise ValueError(f"{text!r} can name another disk after the next boot; take its /dev/disk/by-id/... name")
    raise ValueError(f"{text!r} is not a disk; expected /dev/disk/by-id/... (see `ls -l /dev/disk/by-id`)")


@lru_cache(maxsize=1024)
def _mount_point(text: str) -> str:
    if not text.startswith("/") or "//" in text or re.search(r"(^|/)\.\.?(/|$)|[^\w/.:@+=,~-]", text):
        raise ValueError(f"{text!r} is not an absolute path without '..' and blanks")
    return text if text == "/" else text.rstrip("/")


@lru_cache(maxsize=4096)
def _user_name(text: str) -> str:
    if not re.fullmatch(r"[a-z_][a-z0-9_.-]{0,30}", text) or text.endswith("."):
        raise ValueError(f"{text!r} is not a user name (a-z, 0-9, '_', '-' and '.', at most 31, a letter or '_' first)")
    return text


@lru_cache(maxsize=4096)
def _tag(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", text):
        raise ValueError(f"{text!r} is not a tag (letters, digits, '.', '_' and '-', at most 63)")
    return text


@lru_cache(maxsize=1024)
def _url(text: str) -> str:
    if not re.fullmatch(r"(https?|oci|s3|ssh|git|file)(\+[a-z]+)?://[A-Za-z0-9._~:/?#@&*+,=%\[\]-]+", text):
        raise ValueError(f"{text!r} is not a URL such as https://cache.example.org")
    return text


@lru_cache(maxsize=1024)
def _http_url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError(f"{text!r} is not a URL such as http://10.0.0.21:8080/healthz")
    return _url(text)


@lru_cache(maxsize=256)
def _https_url(text: str) -> str:
    if not text.startswith("https://"):
        raise ValueError(f"{text!r} is not a URL such as https://id.example.org")
    return _url(text)


_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----")


@lru_cache(maxsize=64)
def _certificates(text: str) -> str:
    """PEM blocks of certificates and nothing else but comments."""
    if "PRIVATE KEY" in text:
        raise ValueError("holds a private key; put certificates alone here, and make a new key")
    blocks = _BLOCK.findall(text)
    if not blocks:
        raise ValueError(
            "has no certificate; paste the PEM text, from -----BEGIN CERTIFICATE----- to its end, below `|`"
        )
    for number, block in enumerate(blocks, 1):
        _require_certificate(block, number)
    return "\n".join(blocks) + "\n"


def _require_certificate(block: str, number: int) -> None:
    from cryptography import x509  # takes longer to import than most inventories to load, and few have one

    try:
        x509.load_pem_x509_certificate(block.encode())
    except ValueError:
        raise ValueError(f"certificate {number} is damaged (cut off, or changed); paste it anew") from None


_NUMBER = r"[0-9]{1,12}(\.[0-9]{1,3})?"


@lru_cache(maxsize=1024)
def _quantity(text: str) -> str:
    if re.fullmatch(rf"{_NUMBER}(m|k|M|G|T|Ki|Mi|Gi|Ti)?", text) and not re.fullmatch(r"[0.]+[A-Za-z]*", text):
        return text
    close = re.fullmatch(rf"({_NUMBER}) ?([kMGT])i?[bB]", text, re.IGNORECASE)
    fix = f"; did you mean {close[1]}{close[3].upper()}i?" if close else ""
    raise ValueError(f"{text!r} is not a quantity of Kubernetes like 500m, 2 or 1Gi{fix}")


_SCALES = {"k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}


def bytes_of(quantity: str) -> float:
    """The number that a Quantity is, in bytes or cores.

    >>> bytes_of("2Gi"), bytes_of("500m")
    (2147483648.0, 0.5)
    """
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity).groups()  # type: ignore[union-attr]
    return float(number) * _SCALES.get(unit, 1e-3 if unit == "m" else 1)


@lru_cache(maxsize=1024)
def _threshold(text: str) -> str:
    if re.fullmatch(r"([1-9]?[0-9](\.[0-9]{1,3})?|100)%", text):
        return text
    return _quantity(text)


@lru_cache(maxsize=256)
def _proxy_url(text: str) -> str:
    if re.fullmatch(r"[a-z0-9]+://[^/@]*@.*", text):
        raise ValueError(
            "has a user or a password, which the Nix store shows to everybody on the machine; "
            "let the proxy know the machines by their addresses"
        )
    if not re.fullmatch(r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?/?", text):
        raise ValueError(f"{text!r} is not a proxy like http://proxy.example.org:3128")
    return text.rstrip("/")


@lru_cache(maxsize=256)
def _direct(text: str) -> str:
    """What Go, curl and Nix all understand in NO_PROXY."""
    if "*" in text:
        fix = f"; did you mean {text[1:]}?" if text.startswith("*.") else ""
        raise ValueError(f"{text!r}: '*' means something else to each program{fix}")
    if "/" in text:
        return _canonical_cidr(text)
    name, _, port = text.partition(":") if text.count(":") == 1 else (text, "", "")
    if port and not port.isdecimal():
        raise ValueError(f"{text!r} is not an address, a network or a name")
    _address_or_name(name.removeprefix("."))
    return text.lower()


@lru_cache(maxsize=1024)
def _flake(text: str) -> str:
    if re.search(r"[&*#\[\]]", text):
        # NixOS's upgrade puts the flake into a line of a shell as it is.
        raise ValueError(f"{text!r} has a sign that a shell would take for its own; `branch` names the branch")
    if re.fullmatch(r"(github|gitlab|sourcehut):[A-Za-z0-9~_.-]+/[A-Za-z0-9_./?=-]+", text):
        return text
    return _url(text)


_STORE_PARAMETERS = frozenset((
    "addressing-style", "compression", "compression-level", "endpoint", "multipart-upload", "parallel-compression",
    "profile", "region", "scheme", "storage-class", "want-mass-query",
))  # fmt: skip
"""What a store's address may say of how it is written; none names a key, or a file of this machine."""


@lru_cache(maxsize=1024)
def _cache_store(text: str) -> str:
    address, _, query = text.partition("?")
    if not re.fullmatch(r"(https?|s3)://[A-Za-z0-9._~:/%-]+|file:///[A-Za-z0-9._~/%-]+", address):
        raise ValueError(f"{text!r} is no cache that Nix writes to, such as s3://BUCKET?region=eu-central-1")
    for pair in query.split("&") if query else ():
        name, _, value = pair.partition("=")
        if name not in _STORE_PARAMETERS or not re.fullmatch(r"[A-Za-z0-9._~:/%-]+", value):
            raise ValueError(f"{pair!r} is no parameter of a cache here; take {', '.join(sorted(_STORE_PARAMETERS))}")
    return text


@lru_cache(maxsize=1024)
def _cache_key(text: str) -> str:
    name, _, body = text.partition(":")
    try:
        good = len(base64.b64decode(body, validate=True)) == 32
    except (binascii.Error, ValueError):
        good = False
    if not re.fullmatch(r"[A-Za-z0-9._-]+", name) or not good:
        raise ValueError(f"{text!r} is not a public key of a Nix cache, like cache.example.org-1:...=")
    return text


@lru_cache(maxsize=64)
def _nix_hash(text: str) -> str:
    if not re.fullmatch(r"sha256-[A-Za-z0-9+/]{43}=", text):
        raise ValueError(f"{text!r} is not a hash like sha256-...= (`nix hash file --sri FILE` prints it)")
    return text


@lru_cache(maxsize=4096)
def _k0s_version(text: str) -> str:
    if re.fullmatch(r"1\.[0-9]{1,3}\.[0-9]{1,3}\+k0s\.[0-9]{1,3}", text):
        return text
    close = re.fullmatch(r"v?(1\.[0-9]{1,3}\.[0-9]{1,3})(?:[+-]k0s\.?([0-9]{1,3}))?", text)
    meant = close and (newest_release(f"{close[1]}+k0s.{close[2] or ''}") or f"{close[1]}+k0s.{close[2] or 0}")
    fix = f"; did you mean {meant}?" if meant else ""
    raise ValueError(f"{text!r} is not a k0s release like 1.36.3+k0s.2{fix}")


@lru_cache(maxsize=64)
def _nixos_release(text: str) -> str:
    if not re.fullmatch(r"[0-9]{2}\.(05|11)", text):
        raise ValueError(f"{text!r} is not a NixOS release like 26.05 or 25.11")
    return text


def _auth_pass(text: str) -> str:
    if not 1 <= len(text) <= 8:
        raise ValueError(f"has {len(text)} characters; VRRP takes 1 to 8 and k0s refuses more")
    if not re.fullmatch(r"[!-~]+", text):
        raise ValueError("has characters that keepalived does not take; use printable ASCII without blanks")
    return text


@lru_cache(maxsize=64)
def _time_zone(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}", text):
        raise ValueError(f"{text!r} is not a time zone like Europe/Berlin or Etc/UTC")
    if text not in known_zones():
        near = slips.nearest(text, known_zones())
        raise ValueError(f"{text!r} is no time zone" + (f"; did you mean {near!r}?" if near else " of tzdata"))
    return text


@lru_cache(maxsize=1)
def known_zones() -> frozenset[str]:
    """Names of tzdata: those of the list beside this module, and newer ones that this machine has."""
    ours = (Path(__file__).parent / "zones.txt").read_text(encoding="utf-8").split()
    return frozenset(ours) | zoneinfo.available_timezones()


CALENDAR_WORDS = (
    "minutely", "hourly", "daily", "weekly", "monthly", "quarterly", "semiannually", "yearly", "annually",
)  # fmt: skip
_DAY = r"(?i:mon(day)?|tue(sday)?|wed(nesday)?|thu(rsday)?|fri(day)?|sat(urday)?|sun(day)?)"
_DAYS = rf"{_DAY}((\.\.|-|,){_DAY})*,?"
_PART = r"(\*|[0-9]+(\.\.[0-9]+)?)(/[0-9]+)?"
_LIST = rf"{_PART}(,{_PART})*"
_DATE = rf"({_LIST}-)?{_LIST}[-~]{_LIST}"
_SECOND = r"(\*|[0-9]+(\.[0-9]+)?(\.\.[0-9]+(\.[0-9]+)?)?)(/[0-9]+(\.[0-9]+)?)?"
_TIME = rf"{_LIST}:{_LIST}(:{_SECOND}(,{_SECOND})*)?"
_CALENDAR = re.compile(rf"(?=.)({_DAYS}(?= |$) ?)?({_DATE}(?= |$) ?)?({_TIME})?")
"""Weekdays, date and time, each of which may be missing (systemd.time(7), Calendar Events)."""


@lru_cache(maxsize=256)
def _calendar(text: str) -> str:
    words = text.split(" ")
    if len(words) > 1 and re.fullmatch(r"[A-Za-z_]+(/[A-Za-z0-9_+-]+)*", words[-1]) and words[-1] in known_zones():
        words.pop()
    if len(text) <= 80 and (" ".join(words) in CALENDAR_WORDS or _CALENDAR.fullmatch(" ".join(words))):
        return text
    near = slips.nearest(text, CALENDAR_WORDS)
    fix = f"; did you mean {near}?" if near else ""
    raise ValueError(f"{text!r} is not a systemd calendar expression like weekly or 04:40{fix}")


@lru_cache(maxsize=256)
def _git_branch(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}", text) or ".." in text or text.endswith((".lock", "/")):
        raise ValueError(f"{text!r} is not a Git branch")
    return text


@lru_cache(maxsize=1024)
def _registry(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?", text):
        raise ValueError(f"{text!r} is not a registry like docker.io or registry.example.org:5000")
    return text


def _registry_or_all(text: str) -> str:
    return text if text == "*" else _registry(text)


@lru_cache(maxsize=64)
def _secret_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?", text):
        # Not quoted: it may be the secret itself.
        raise ValueError(
            "names no Secret (a-z, 0-9 and '-', at most 53); a user and a password belong into the Secret: "
            "slipway secrets init asks for them"
        )
    return text


@lru_cache(maxsize=1024)
def _ports(text: str) -> str:
    match = re.fullmatch(r"([1-9][0-9]{0,4})(?:([-:])([1-9][0-9]{0,4}))?", text)
    if match is None or int(match[1]) > 65535 or int(match[3] or 1) > 65535:
        raise ValueError(f"{text!r} is neither a port like 9100 nor a range like 30000-32767")
    if match[3] and int(match[1]) >= int(match[3]):
        raise ValueError(f"{text!r} ends before it begins; did you mean {match[3]}-{match[1]}?")
    return text.replace(":", "-")


def port_range(ports: str) -> range:
    """The ports of a value of the type Ports.

    >>> port_range("9100"), port_range("30000-32767")
    (range(9100, 9101), range(30000, 32768))
    """
    first, _, last = ports.partition("-")
    return range(int(first), int(last or first) + 1)


SOURCES = ("nodes", "pods", "controllers")


@lru_cache(maxsize=1024)
def _source(text: str) -> str:
    if text in SOURCES:
        return text
    if re.fullmatch(r"[a-z-]+", text):
        near = slips.nearest(text, SOURCES)
        fix = f"; did you mean {near}?" if near else ""
        raise ValueError(f"{text!r} is none of {', '.join(SOURCES)}, nor a network like 10.0.0.0/8{fix}")
    return _canonical_cidr(text)


def _k0s_flag(text: str) -> str:
    if not re.fullmatch(r"--?[a-z][a-z0-9-]*(=\S*)?", text):
        raise ValueError(f"{text!r} is not a flag of k0s like --debug or --logging=etcd=warning, in one word")
    return text


RESERVED_NAMES = ("controller", "worker", "single", "localhost")


@lru_cache(maxsize=65536)
def _host_name(text: str) -> str:
    dns_label(text)
    if text in RESERVED_NAMES:
        raise ValueError(f"{text!r} cannot name a host: it means a role, or this machine; did you mean {text}-1?")
    return text


def _cron(text: str) -> str:
    if not re.fullmatch(r"[0-9*][0-9*,/-]{0,30}( [0-9*][0-9*,/-]{0,30}){4}", text):
        raise ValueError(f"{text!r} is not a schedule of five fields like '17 3 * * *'")
    return text


def _restic(text: str) -> str:
    if not re.fullmatch(r"s3:https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[A-Za-z0-9._/-]*[A-Za-z0-9]", text):
        raise ValueError(
            f"{text!r} is not the beginning of a restic repository, like s3:https://s3.example.org/backups"
        )
    return text


def _version(text: str) -> str:
    if not re.fullmatch(r"v?[0-9A-Za-z][0-9A-Za-z._-]{0,127}(@sha256:[0-9a-f]{64})?", text):
        raise ValueError(f"{text!r} is not a version like 1.2.3 or 1.2.3@sha256:...")
    return text


def _email(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}", text):
        raise ValueError(f"{text!r} is not an e-mail address")
    return text


def _text(text: str) -> str:
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", text):
        raise ValueError("has control characters")
    return text


def _flag_value(text: str) -> str:
    if text != "".join(text.split()):
        # k0s takes --kubelet-extra-args apart at every blank (internal/pkg/flags).
        raise ValueError(f"{text!r} has a blank: k0s would read what follows as another flag of kubelet")
    return _text(text)


NIX_OPTIONS = frozenset((
    "connect-timeout", "cores", "download-attempts", "fallback", "http-connections", "keep-going", "log-lines",
    "max-jobs", "max-silent-time", "show-trace", "stalled-download-timeout", "substitute", "substituters", "timeout",
    "warn-dirty",
))  # fmt: skip
"""What a repository may ask of the Nix of whoever deploys: how much, how long, from where. None names a program to run
(post-build-hook, plugin-files, builders), a file to read (netrc-file, access-tokens), a key to trust, or lets a build
out of Nix's sandbox (docs/trust.md)."""


def _nix_option(text: str) -> str:
    if text not in NIX_OPTIONS:
        raise ValueError(
            f"{text!r} is no option that a repository may set; take one of {', '.join(sorted(NIX_OPTIONS))}, "
            "or write it into your own nix.conf"
        )
    return text


def _nix_options(options: dict[str, str]) -> dict[str, str]:
    """A store's address has parameters of its own (`?trusted=1` takes what nobody signed), or is another program's."""
    for address in options.get("substituters", "").split():
        if not re.fullmatch(r"https?://[A-Za-z0-9._~:/@%-]+", address):
            raise ValueError(f"substituters: {address!r} is not a plain http(s) address")
    return options


def _key_path(path: Path) -> Path:
    """Paths that OpenSSH reads as we do: in its configuration it has no way to quote these signs."""
    if not str(path).isprintable() or re.search(r'["\\]|\$\{', str(path)):
        raise ValueError(f"{str(path)!r} has a quote, a backslash, ${{ or what does not print; rename the file")
    return path


def _format(words: str, **more: str) -> WithJsonSchema:
    """What the JSON Schema and the reference call a text of this kind."""
    return WithJsonSchema({"type": "string", "format": words, **more})


def _number_or(words: str, pattern: str) -> WithJsonSchema:
    """A text that may be written as a bare number, which editors take for one."""
    return WithJsonSchema({"type": ["string", "number"], "format": words, "pattern": pattern})


Truth = Annotated[bool, BeforeValidator(_truth)]
IpAddress = Annotated[str, AfterValidator(_canonical_address), _format("IP address")]
JumpHost = Annotated[str, AfterValidator(_jump_host), _format("[user@]address[:port]")]
IpOrName = Annotated[str, AfterValidator(_address_or_name), _format("IP address or DNS name")]
Cidr = Annotated[str, AfterValidator(_canonical_cidr), _format("CIDR")]
InterfaceAddress = Annotated[str, AfterValidator(_canonical_interface_address), _format("IP address/prefix length")]
DnsLabel = Annotated[str, AfterValidator(dns_label), _format("DNS label")]
DnsName = Annotated[str, AfterValidator(dns_name), _format("DNS name")]
Mac = Annotated[str, AfterValidator(_mac), _format("MAC address")]
LinkName = Annotated[str, AfterValidator(_link), _format("link name")]
PublicKey = Annotated[str, AfterValidator(_public_key), _format("SSH public key")]
DIGITS = BeforeValidator(_digits)
Port = Annotated[int, Field(ge=1, le=65535), DIGITS]
Ports = Annotated[str, AfterValidator(_ports), _number_or("port or range", "^[1-9][0-9]*([-:][1-9][0-9]*)?$")]
_SOURCE = "^(nodes|pods|controllers|[0-9a-fA-F:.]+/[0-9]+)$"
Source = Annotated[str, AfterValidator(_source), _format("nodes, pods, controllers or CIDR", pattern=_SOURCE)]
K0sFlag = Annotated[str, AfterValidator(_k0s_flag), _format("flag", pattern="^--?[a-z][a-z0-9-]*(=\\S*)?$")]
Bytes = Annotated[
    int,
    BeforeValidator(_bytes),
    WithJsonSchema({"type": "string", "pattern": "^[1-9][0-9]*(Mi|Gi|Ti)$", "format": "size"}),
]
Seconds = Annotated[
    float,
    BeforeValidator(_seconds),
    _format("duration", pattern="^[1-9][0-9]*[smhd]$"),
]
Share = Annotated[str, AfterValidator(share), _number_or("count or percent", "^[1-9][0-9]*%?$")]
Device = Annotated[str, AfterValidator(_device), _format("disk")]
MountPoint = Annotated[str, AfterValidator(_mount_point), _format("absolute path")]
UserName = Annotated[str, AfterValidator(_user_name), _format("user name")]
Tag = Annotated[str, AfterValidator(_tag), _format("word")]
Url = Annotated[str, AfterValidator(_url), _format("URL")]
HttpUrl = Annotated[str, AfterValidator(_http_url), _format("URL")]
ProxyUrl = Annotated[str, AfterValidator(_proxy_url), _format("URL of a proxy")]
Direct = Annotated[str, AfterValidator(_direct), _format("address, CIDR or DNS name")]
FlakeUrl = Annotated[str, AfterValidator(_flake), _format("flake URL")]
HttpsUrl = Annotated[str, AfterValidator(_https_url), _format("https URL")]
Certificates = Annotated[str, AfterValidator(_certificates), _format("certificates (PEM)")]
Quantity = Annotated[str, AfterValidator(_quantity), _number_or("quantity", r"^[0-9.]+(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")]
Threshold = Annotated[
    str, AfterValidator(_threshold), _number_or("quantity or percent", r"^[0-9.]+(m|k|M|G|T|Ki|Mi|Gi|Ti|%)?$")
]
Resource = Literal["cpu", "memory", "ephemeral-storage", "pid"]
EvictionSignal = Literal[
    "memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree",
    "pid.available",
]  # fmt: skip
CacheKey = Annotated[str, AfterValidator(_cache_key), _format("public key of a Nix cache")]
CacheStore = Annotated[str, AfterValidator(_cache_store), _format("store of a binary cache")]
LabelKey = Annotated[str, AfterValidator(label_key), _format("label key")]
LabelValue = Annotated[str, AfterValidator(label_value), _format("label value")]
Taint = Annotated[str, AfterValidator(taint), _format("key=value:Effect")]
K0sVersion = Annotated[str, AfterValidator(_k0s_version), _format("k0s release")]
NixosRelease = Annotated[str, AfterValidator(_nixos_release), _format("NixOS release")]
AuthPass = Annotated[str, AfterValidator(_auth_pass)]
TimeZone = Annotated[str, AfterValidator(_time_zone), _format("time zone")]
Calendar = Annotated[str, AfterValidator(_calendar), _format("systemd calendar expression")]
GitBranch = Annotated[str, AfterValidator(_git_branch), _format("Git branch")]
Registry = Annotated[str, AfterValidator(_registry), _format("registry")]
RegistryOrAll = Annotated[str, AfterValidator(_registry_or_all), _format("registry or *")]
SecretName = Annotated[str, AfterValidator(_secret_name), _format("name of a Secret")]
HostName = Annotated[str, AfterValidator(_host_name), _format("DNS label")]
Mtu = Annotated[int, Field(ge=1280, le=9216), DIGITS]
NixHash = Annotated[str, AfterValidator(_nix_hash), _format("sha256 hash (SRI)")]
Text = Annotated[str, AfterValidator(_text)]
Cron = Annotated[str, AfterValidator(_cron), _format("cron schedule")]
ResticRepository = Annotated[str, AfterValidator(_restic), _format("restic repository")]
Version = Annotated[str, AfterValidator(_version), _format("version")]
Email = Annotated[str, AfterValidator(_email), _format("e-mail address")]
ChartName = Literal[
    "cert-manager", "cilium", "cloudnative-pg", "external-dns", "external-secrets", "external-snapshotter",
    "flux-operator", "forgejo", "gateway-api", "gitea", "gitlab", "kube-prometheus-stack", "local-path-provisioner",
    "openbao", "openebs", "prometheus-operator", "snapshot-controller", "spegel", "victoria-metrics-k8s-stack",
    "volsync",
]  # fmt: skip
"""The charts of the stages, and the sets of CRDs (generate/gitops/charts.py has where they are)."""
ImageName = Literal["forgejo", "gitea", "openbao", "podinfo", "postgresql", "seaweedfs", "valkey", "volsync"]
FlagValue = Annotated[str, AfterValidator(_flag_value)]
KeyPath = Annotated[Path, AfterValidator(_key_path)]
NixOptions = Annotated[dict[Annotated[str, AfterValidator(_nix_option)], Text], AfterValidator(_nix_options)]
FreeForm = dict[str, Any]
