"""The single values of an inventory: what they look like, and what to say when they do not.

Every value arrives as the text that stands in the file (builder.py), so `26.10` stays a version and a MAC address never
becomes a number. Validators return the canonical text or raise ValueError with a message for people. They are cached
where many hosts share a value.
"""

from __future__ import annotations

import base64
import re
import zoneinfo
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from slipway import slips
from slipway.inventory.address import (
    CIDR,
    INTERFACE_ADDRESS,
    IP_ADDRESS,
    IPV4,
    IPV6,
    PORT,
    address_of,
    interface_of,
    network_of,
    text_of,
    way_of,
)
from slipway.inventory.kubernetes import (
    DNS_LABEL,
    DNS_NAME,
    LABEL_KEY,
    LABEL_VALUE,
    TAINT,
    dns_label,
    dns_name,
    label_key,
    label_value,
    taint,
)
from slipway.inventory.releases import newest_release
from slipway.inventory.syntax import BLANK, Syntax, between, literally, one_of


def _canonical_address(text: str) -> str:
    return text_of(address_of(text))


def _canonical_cidr(text: str) -> str:
    network_of(text)
    return text.lower()


def _canonical_interface_address(text: str) -> str:
    interface_of(text)
    return text.lower()


IP_OR_NAME = Syntax(
    "IP address or DNS name", one_of(IP_ADDRESS.pattern, f"(?![0-9.]+$){DNS_NAME.pattern}"), longest=253
)


@lru_cache(maxsize=1024)
def _address_or_name(text: str) -> str:
    if url := re.fullmatch(r"[a-z]+://(\[[0-9a-fA-F:]+\]|[^/:]+)(:[0-9]+)?(/.*)?", text):
        raise ValueError(f"{text!r} is a URL; write it without scheme and port: {url[1].strip('[]')}")
    if port := re.fullmatch(r"([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*):[0-9]{1,5}", text):
        raise ValueError(f"{text!r} has a port; write it without: {port[1]}")
    if ":" in text or re.fullmatch(r"[0-9.]+", text):
        return _canonical_address(text)
    return dns_name(text)


USER_NAME = Syntax("user name", "[a-z_]([a-z0-9_.-]{0,29}[a-z0-9_-])?")
_LOGIN = one_of(IPV6, rf"(\[{IPV6}\]|{IPV4}|(?![0-9.]+(:|$)){DNS_NAME.pattern})(:{PORT})?")
JUMP_HOST = Syntax("[user@]address[:port]", f"({USER_NAME.pattern}@)?{_LOGIN}")


def _jump_host(text: str) -> str:
    """The canonical form: brackets around an IPv6 address, and no port where it is 22."""
    way = way_of(text)
    address = _address_or_name(way.address)
    if not JUMP_HOST.fits(f"root@{text.rpartition('@')[2]}"):
        raise ValueError(f"{text!r} is not {JUMP_HOST.name}")
    shown = f"[{address}]" if ":" in address else address
    user = f"{_user_name(way.user)}@" if way.user else ""
    return f"{user}{shown}" + ("" if way.port == 22 else f":{way.port}")


_OCTET = "[0-9a-fA-F]{2}"
MAC = Syntax("MAC address", f"(?!00(:00){{5}})[0-9a-fA-F][02468aceACE](:{_OCTET}){{5}}")


@lru_cache(maxsize=65536)
def _mac(text: str) -> str:
    if re.fullmatch(f"{_OCTET}(:{_OCTET}){{5}}", text):
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


LINK_NAME = Syntax("link name", r"(?!(\.|\.\.|lo)$)[A-Za-z0-9_.@-]{1,15}")


@lru_cache(maxsize=4096)
def _link(text: str) -> str:
    if not text or len(text) > 15:
        raise ValueError(f"{text!r} is not a link name: 1 to 15 characters, as Linux has it")
    if not LINK_NAME.fits(text):
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


def _begin_of_key(kind: str) -> str:
    """How every public key of this type begins: the type in words, and again as the first field of what is encoded.

    What follows is the length of the next field, whose first bytes are zero.
    """
    head = len(kind).to_bytes(4, "big") + kind.encode()
    return literally(f"{kind} {base64.b64encode(head + bytes(-len(head) % 3)).decode()}")


_UNPRINTED = "\\x00-\\x1f\\x7f-\\x9f\\u00ad\\u061c\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff"
"""Within brackets: control characters, line ends and what turns the direction of a text or has no width."""
_BASE64 = "([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
PUBLIC_KEY = Syntax(
    "SSH public key", rf"[ \t\n]*{one_of(*map(_begin_of_key, KEY_TYPES))}{_BASE64}( [^{_UNPRINTED}]*)?[ \t\n]*"
)


@lru_cache(maxsize=4096)
def _public_key(text: str) -> str:
    if "PRIVATE KEY" in text:
        raise ValueError("this is a private key; put the public one here (the .pub file) and make a new pair")
    if "REPLACE-ME" in text:
        raise ValueError("still what `slipway init` wrote for want of a key: put the line of your .pub file here")
    kind, _, rest = text.strip().partition(" ")
    if kind not in KEY_TYPES:
        raise ValueError(
            f"{text[:40]!r} is not an SSH public key; it starts with one of {', '.join(KEY_TYPES[:3])}, ..."
        )
    if re.search(rf"(?!\n)[{_UNPRINTED}]", rest):
        raise ValueError(f"{text[:40]!r}: the comment of the key has characters that do not print")
    if not PUBLIC_KEY.fits(text):
        raise ValueError(f"{text[:40]!r}: the key is damaged (cut off or wrapped); copy the one line of the .pub file")
    return text.strip()


SIZE_UNITS = {"Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
TIME_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
SIZE = Syntax("size", f"[1-9][0-9]{{0,8}}{one_of(*SIZE_UNITS)}")
DURATION = Syntax("duration", f"[1-9][0-9]{{0,6}}{one_of(*TIME_UNITS)}")


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
    if SIZE.fits(text):
        return int(text[:-2]) * SIZE_UNITS[text[-2:]]
    close = re.fullmatch(r"([1-9][0-9]{0,8}) ?([MGT])(i?B?)", text, re.IGNORECASE)
    fix = f"; did you mean {close[1]}{close[2].upper()}i?" if close else ""
    raise ValueError(f"{text!r} is not a size like 512Mi or 32Gi{fix}")


def _seconds(value: object) -> float:
    """The seconds of a duration; a number is what an earlier validation made of it."""
    return value if type(value) is float else duration(_one_text(value, "a duration like 30s, 10m or 24h"))


@lru_cache(maxsize=1024)
def duration(text: str) -> float:
    """Seconds of 30s, 10m, 24h or 7d. Raises ValueError."""
    if DURATION.fits(text):
        return float(int(text[:-1]) * TIME_UNITS[text[-1]])
    fix = f"; did you mean {text}s?" if re.fullmatch(r"[1-9][0-9]*", text) else ""
    raise ValueError(f"{text!r} is not a duration like 30s, 10m or 24h{fix}")


SHARE = Syntax("count or percent", f"[1-9][0-9]{{0,4}}|{between(1, 100)}%", most=99999)


@lru_cache(maxsize=1024)
def share(text: str) -> str:
    """A count or a percentage, as it stands there. Raises ValueError."""
    if SHARE.fits(text):
        return text
    if re.fullmatch("[1-9][0-9]*%", text):
        raise ValueError(f"{text!r} is more than all of them; at most 100%")
    raise ValueError(f"{text!r} is neither a count like 5 nor a part like 25%")


def part_of(text: str, total: int) -> int:
    """How many of `total` a Share is: a part is rounded up, so that it is never none."""
    return -(-int(text[:-1]) * total // 100) if text.endswith("%") else int(text)


def _digits(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(r"0|-?[1-9][0-9]{0,17}", value):
        fix = f"; did you mean {int(value)}?" if re.fullmatch(r"0{1,3}[0-9]{1,9}", value) else ""
        raise ValueError(f"{value[:60]!r} is not a whole number{fix}")
    return value


def _truth(value: object) -> object:
    if value in ("true", "false"):
        return value == "true"
    if isinstance(value, str):
        yes = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(value.lower(), value.lower())
        fix = f"; did you mean {yes}?" if yes in ("true", "false") else ""
        raise ValueError(f"{value!r} is neither true nor false{fix}")
    return value


_DEVICE = "/dev/disk/by-(id|path)/[A-Za-z0-9_.:@+=-]+"
DEVICE = Syntax("disk", f"(?!.*-part[0-9]+$){_DEVICE}")


@lru_cache(maxsize=4096)
def _device(text: str) -> str:
    if DEVICE.fits(text):
        return text
    if re.fullmatch(_DEVICE, text):
        whole = re.sub(r"-part[0-9]+$", "", text)
        raise ValueError(f"{text!r} is a partition; did you mean the disk {whole}?")
    if text.startswith("/dev/") and not text.startswith("/dev/disk/"):
        raise ValueError(f"{text!r} can name another disk after the next boot; take its /dev/disk/by-id/... name")
    raise ValueError(f"{text!r} is not a disk; expected /dev/disk/by-id/... (see `ls -l /dev/disk/by-id`)")


_LETTERS = "A-Za-z\\u00c0-\\u1fff\\u3040-\\ud7ff"
MOUNT_POINT = Syntax("absolute path", rf"/|(/(?!\.\.?(/|$))[{_LETTERS}0-9_.:@+=,~-]+)+/?")


@lru_cache(maxsize=1024)
def _mount_point(text: str) -> str:
    if not MOUNT_POINT.fits(text):
        raise ValueError(f"{text!r} is not an absolute path without '..' and blanks")
    return text if text == "/" else text.rstrip("/")


@lru_cache(maxsize=4096)
def _user_name(text: str) -> str:
    if not USER_NAME.fits(text):
        raise ValueError(f"{text!r} is not a user name (a-z, 0-9, '_', '-' and '.', at most 31, a letter or '_' first)")
    return text


TAG = Syntax("word", "[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@lru_cache(maxsize=4096)
def _tag(text: str) -> str:
    if not TAG.fits(text):
        raise ValueError(f"{text!r} is not a tag (letters, digits, '.', '_' and '-', at most 63)")
    return text


_AFTER_SCHEME = r"://[A-Za-z0-9._~:/?#@&*+,=%\[\]-]+"
URL = Syntax("URL", rf"(https?|oci|s3|ssh|git|file)(\+[a-z]+)?{_AFTER_SCHEME}")
HTTP_URL = Syntax("http or https URL", f"https?{_AFTER_SCHEME}")
HTTPS_URL = Syntax("https URL", f"https{_AFTER_SCHEME}")


@lru_cache(maxsize=1024)
def _url(text: str) -> str:
    if not URL.fits(text):
        raise ValueError(f"{text!r} is not a URL such as https://cache.example.org")
    return text


@lru_cache(maxsize=1024)
def _http_url(text: str) -> str:
    if not HTTP_URL.fits(text):
        raise ValueError(f"{text!r} is not a URL such as http://10.0.0.21:8080/healthz")
    return text


@lru_cache(maxsize=256)
def _https_url(text: str) -> str:
    if not HTTPS_URL.fits(text):
        raise ValueError(f"{text!r} is not a URL such as https://id.example.org")
    return text


_BLOCK = r"-----BEGIN CERTIFICATE-----[ \t\n][A-Za-z0-9+/= \t\n]+-----END CERTIFICATE-----"
_ANYTHING = "[^\\x00]*"
CERTIFICATES = Syntax("certificates (PEM)", f"(?!{_ANYTHING}PRIVATE KEY){_ANYTHING}{_BLOCK}{_ANYTHING}")


@lru_cache(maxsize=64)
def _certificates(text: str) -> str:
    """PEM blocks of certificates and nothing else but comments."""
    if "PRIVATE KEY" in text:
        raise ValueError("holds a private key; put certificates alone here, and make a new key")
    blocks = re.findall(_BLOCK, text)
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


QUANTITY = Syntax("quantity", rf"(?![0.]+[A-Za-z]*$){_NUMBER}(m|k|M|G|T|Ki|Mi|Gi|Ti)?", most=999_999_999_999.999)
THRESHOLD = Syntax(
    "quantity or percent", one_of(QUANTITY.pattern, r"([1-9]?[0-9](\.[0-9]{1,3})?|100)%"), most=QUANTITY.most
)


@lru_cache(maxsize=1024)
def _quantity(text: str) -> str:
    if QUANTITY.fits(text):
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
    return text if THRESHOLD.fits(text) else _quantity(text)


_IN_BRACKETS = r"\[[0-9a-fA-F:]+\]"
"""An IPv6 address as URLs have it."""
PROXY_URL = Syntax("URL of a proxy", rf"https?://([A-Za-z0-9.-]+|{_IN_BRACKETS})(:[0-9]{{1,5}})?/?")


@lru_cache(maxsize=256)
def _proxy_url(text: str) -> str:
    if re.fullmatch(r"[a-z0-9]+://[^/@]*@.*", text):
        raise ValueError(
            "has a user or a password, which the Nix store shows to everybody on the machine; "
            "let the proxy know the machines by their addresses"
        )
    if not PROXY_URL.fits(text):
        raise ValueError(f"{text!r} is not a proxy like http://proxy.example.org:3128")
    return text.rstrip("/")


DIRECT = Syntax(
    "address, CIDR or DNS name",
    one_of(CIDR.pattern, IPV6, rf"({IPV4}|(?![0-9.]+(:|$))\.?{DNS_NAME.pattern})(:{PORT})?"),
    longest=260,
)


@lru_cache(maxsize=256)
def _direct(text: str) -> str:
    """What Go, curl and Nix all understand in NO_PROXY."""
    if "*" in text:
        fix = f"; did you mean {text[1:]}?" if text.startswith("*.") else ""
        raise ValueError(f"{text!r}: '*' means something else to each program{fix}")
    if "/" in text:
        return _canonical_cidr(text)
    name = text.partition(":")[0] if text.count(":") == 1 else text
    _address_or_name(name.removeprefix("."))
    if not DIRECT.fits(text):
        raise ValueError(f"{text!r} is not an address, a network or a name")
    return text.lower()


FLAKE_URL = Syntax(
    "flake URL",
    one_of(
        "(github|gitlab|sourcehut):[A-Za-z0-9~_.-]+/[A-Za-z0-9_./?=-]+",
        r"(https?|oci|s3|ssh|git|file)(\+[a-z]+)?://[A-Za-z0-9._~:/?@+,=%-]+",
    ),
)


@lru_cache(maxsize=1024)
def _flake(text: str) -> str:
    if re.search(r"[&*#\[\]]", text):
        # NixOS's upgrade puts the flake into a line of a shell as it is.
        raise ValueError(f"{text!r} has a sign that a shell would take for its own; `branch` names the branch")
    return text if FLAKE_URL.fits(text) else _url(text)


_STORE_PARAMETERS = frozenset((
    "addressing-style", "compression", "compression-level", "endpoint", "multipart-upload", "parallel-compression",
    "profile", "region", "scheme", "storage-class", "want-mass-query",
))  # fmt: skip
"""What a store's address may say of how it is written; none names a key, or a file of this machine."""


_PARAMETER = f"{one_of(*sorted(_STORE_PARAMETERS))}=[A-Za-z0-9._~:/%-]+"
_STORE = rf"((https?|s3)://[A-Za-z0-9._~:/%-]+|https?://{_IN_BRACKETS}[A-Za-z0-9._~:/%-]*|file:///[A-Za-z0-9._~/%-]+)"
CACHE_STORE = Syntax("store of a binary cache", rf"{_STORE}(\?{_PARAMETER}(&{_PARAMETER})*)?")


@lru_cache(maxsize=1024)
def _cache_store(text: str) -> str:
    if CACHE_STORE.fits(text):
        return text
    address, _, query = text.partition("?")
    wrong = [pair for pair in query.split("&") if not re.fullmatch(_PARAMETER, pair)]
    if not re.fullmatch(_STORE, address) or not wrong:
        raise ValueError(f"{text!r} is no cache that Nix writes to, such as s3://BUCKET?region=eu-central-1")
    raise ValueError(f"{wrong[0]!r} is no parameter of a cache here; take {', '.join(sorted(_STORE_PARAMETERS))}")


CACHE_KEY = Syntax("public key of a Nix cache", "[A-Za-z0-9._-]+:[A-Za-z0-9+/]{43}=")


@lru_cache(maxsize=1024)
def _cache_key(text: str) -> str:
    if not CACHE_KEY.fits(text):
        raise ValueError(f"{text!r} is not a public key of a Nix cache, like cache.example.org-1:...=")
    return text


NIX_HASH = Syntax("sha256 hash (SRI)", "sha256-[A-Za-z0-9+/]{43}=")


@lru_cache(maxsize=64)
def _nix_hash(text: str) -> str:
    if not NIX_HASH.fits(text):
        raise ValueError(f"{text!r} is not a hash like sha256-...= (`nix hash file --sri FILE` prints it)")
    return text


K0S_VERSION = Syntax("k0s release", r"1\.[0-9]{1,3}\.[0-9]{1,3}\+k0s\.[0-9]{1,3}")


@lru_cache(maxsize=4096)
def _k0s_version(text: str) -> str:
    if K0S_VERSION.fits(text):
        return text
    close = re.fullmatch(r"v?(1\.[0-9]{1,3}\.[0-9]{1,3})(?:[+-]k0s\.?([0-9]{1,3}))?", text)
    meant = close and (newest_release(f"{close[1]}+k0s.{close[2] or ''}") or f"{close[1]}+k0s.{close[2] or 0}")
    if re.fullmatch(r"v?1\.[0-9]{1,3}", text):
        meant = newest_release(f"{text.removeprefix('v')}.")
    fix = f"; did you mean {meant}?" if meant else ""
    raise ValueError(f"{text!r} is not a k0s release like 1.36.3+k0s.2{fix}")


NIXOS_RELEASE = Syntax("NixOS release", r"[0-9]{2}\.(05|11)", most=99.11)


@lru_cache(maxsize=64)
def _nixos_release(text: str) -> str:
    if not NIXOS_RELEASE.fits(text):
        raise ValueError(f"{text!r} is not a NixOS release like 26.05 or 25.11")
    return text


AUTH_PASS = Syntax("password of VRRP", "[!-~]{1,8}")


def _auth_pass(text: str) -> str:
    if not 1 <= len(text) <= 8:
        raise ValueError(f"has {len(text)} characters; VRRP takes 1 to 8 and k0s refuses more")
    if not AUTH_PASS.fits(text):
        raise ValueError("has characters that keepalived does not take; use printable ASCII without blanks")
    return text


TIME_ZONE = Syntax("time zone", "[A-Za-z_][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}")


@lru_cache(maxsize=64)
def _time_zone(text: str) -> str:
    if not TIME_ZONE.fits(text):
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
_WEEK = ("mon(day)?", "tue(sday)?", "wed(nesday)?", "thu(rsday)?", "fri(day)?", "sat(urday)?", "sun(day)?")
_DAY = re.sub("[a-z]", lambda letter: f"[{letter[0]}{letter[0].upper()}]", one_of(*_WEEK))
_DAYS = rf"{_DAY}((\.\.|-|,){_DAY})*,?"
_PART = r"(\*|[0-9]+(\.\.[0-9]+)?)(/[0-9]+)?"
_LIST = rf"{_PART}(,{_PART})*"
_DATE = rf"({_LIST}-)?{_LIST}[-~]{_LIST}"
_SECOND = r"(\*|[0-9]+(\.[0-9]+)?(\.\.[0-9]+(\.[0-9]+)?)?)(/[0-9]+(\.[0-9]+)?)?"
_TIME = rf"{_LIST}:{_LIST}(:{_SECOND}(,{_SECOND})*)?"
_EVENT = one_of(*CALENDAR_WORDS, rf"{_DAYS}( {_DATE})?( {_TIME})?", rf"{_DATE}( {_TIME})?", _TIME)
"""A word, or weekdays, date and time, some of which may be missing (systemd.time(7), Calendar Events)."""
CALENDAR = Syntax("systemd calendar expression", f"{_EVENT}( {TIME_ZONE.pattern})?", longest=80)


@lru_cache(maxsize=256)
def _calendar(text: str) -> str:
    if CALENDAR.fits(text):
        if not re.fullmatch(_EVENT, text):
            _time_zone(text.rpartition(" ")[2])
        return text
    near = slips.nearest(text, CALENDAR_WORDS)
    fix = f"; did you mean {near}?" if near else ""
    raise ValueError(f"{text!r} is not a systemd calendar expression like weekly or 04:40{fix}")


GIT_BRANCH = Syntax("Git branch", r"(?!.*(\.\.|\.lock$|/$))[A-Za-z0-9_][A-Za-z0-9_./-]{0,199}")


@lru_cache(maxsize=256)
def _git_branch(text: str) -> str:
    if not GIT_BRANCH.fits(text):
        raise ValueError(f"{text!r} is not a Git branch")
    return text


REGISTRY = Syntax("registry", "[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?")


@lru_cache(maxsize=1024)
def _registry(text: str) -> str:
    if not REGISTRY.fits(text):
        raise ValueError(f"{text!r} is not a registry like docker.io or registry.example.org:5000")
    return text


REGISTRY_OR_ALL = Syntax("registry or *", one_of(r"\*", f"(?!all$){REGISTRY.pattern}"))


def _registry_or_all(text: str) -> str:
    if text == "all":
        raise ValueError("'all' would be a registry of that name; did you mean \"*\"?")
    return text if text == "*" else _registry(text)


SECRET_NAME = Syntax("name of a Secret", "[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?")


@lru_cache(maxsize=64)
def _secret_name(text: str) -> str:
    if not SECRET_NAME.fits(text):
        # Not quoted: it may be the secret itself.
        raise ValueError(
            "names no Secret (a-z, 0-9 and '-', at most 53); a user and a password belong into the Secret: "
            "slipway secrets init asks for them"
        )
    return text


PORTS = Syntax("port or range", f"{PORT}([-:]{PORT})?", most=65535)


@lru_cache(maxsize=1024)
def _ports(text: str) -> str:
    if not PORTS.fits(text):
        raise ValueError(f"{text!r} is neither a port like 9100 nor a range like 30000-32767")
    first, dash, last = text.replace(":", "-").partition("-")
    if dash and int(first) >= int(last):
        raise ValueError(f"{text!r} ends before it begins; did you mean {last}-{first}?")
    return first + dash + last


def port_range(ports: str) -> range:
    """The ports of a value of the type Ports.

    >>> port_range("9100"), port_range("30000-32767")
    (range(9100, 9101), range(30000, 32768))
    """
    first, _, last = ports.partition("-")
    return range(int(first), int(last or first) + 1)


SOURCES = ("nodes", "pods", "controllers")
SOURCE = Syntax("nodes, pods, controllers or CIDR", one_of(*SOURCES, CIDR.pattern))


@lru_cache(maxsize=1024)
def _source(text: str) -> str:
    if text in SOURCES:
        return text
    if re.fullmatch(r"[a-z-]+", text):
        near = slips.nearest(text, SOURCES)
        fix = f"; did you mean {near}?" if near else ""
        raise ValueError(f"{text!r} is none of {', '.join(SOURCES)}, nor a network like 10.0.0.0/8{fix}")
    return _canonical_cidr(text)


K0S_FLAG = Syntax("flag", f"--?[a-z][a-z0-9-]*(=[^{BLANK}]*)?")


def _k0s_flag(text: str) -> str:
    if not K0S_FLAG.fits(text):
        raise ValueError(f"{text!r} is not a flag of k0s like --debug or --logging=etcd=warning, in one word")
    return text


RESERVED_NAMES = ("controller", "worker", "single", "localhost")
HOST_NAME = Syntax("host name", f"(?!{one_of(*RESERVED_NAMES)}$){DNS_LABEL.pattern}")


@lru_cache(maxsize=65536)
def _host_name(text: str) -> str:
    dns_label(text)
    if text in RESERVED_NAMES:
        raise ValueError(f"{text!r} cannot name a host: it means a role, or this machine; did you mean {text}-1?")
    return text


CRON = Syntax("cron schedule", "[0-9*][0-9*,/-]{0,30}( [0-9*][0-9*,/-]{0,30}){4}")


def _cron(text: str) -> str:
    if not CRON.fits(text):
        raise ValueError(f"{text!r} is not a schedule of five fields like '17 3 * * *'")
    return text


RESTIC = Syntax(
    "restic repository",
    rf"s3:https?://([A-Za-z0-9.-]+|{_IN_BRACKETS})(:[0-9]{{1,5}})?/[A-Za-z0-9._/-]*[A-Za-z0-9]",
)


def _restic(text: str) -> str:
    if not RESTIC.fits(text):
        raise ValueError(
            f"{text!r} is not the beginning of a restic repository, like s3:https://s3.example.org/backups"
        )
    return text


VERSION = Syntax("version", "v?[0-9A-Za-z][0-9A-Za-z._-]{0,127}(@sha256:[0-9a-f]{64})?")


def _version(text: str) -> str:
    if not VERSION.fits(text):
        raise ValueError(f"{text!r} is not a version like 1.2.3 or 1.2.3@sha256:...")
    return text


EMAIL = Syntax("e-mail address", r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}")


def _email(text: str) -> str:
    if not EMAIL.fits(text):
        raise ValueError(f"{text!r} is not an e-mail address")
    return text


TEXT = Syntax("text", r"[^\x00-\x08\x0b-\x1f\x7f-\x84\x86-\x9f]*")


def _text(text: str) -> str:
    if not TEXT.fits(text):
        raise ValueError("has control characters")
    return text


FLAG_VALUE = Syntax("text without blanks", f"[^{BLANK}]*")


def _flag_value(text: str) -> str:
    if not FLAG_VALUE.fits(text):
        # k0s takes --kubelet-extra-args apart at every blank (internal/pkg/flags).
        raise ValueError(f"{text!r} has a blank: k0s would read what follows as another flag of kubelet")
    return text


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


_PLAIN_CACHE = rf"https?://([A-Za-z0-9._~:/@%-]+|{_IN_BRACKETS}[A-Za-z0-9._~:/@%-]*)"
PLAIN_CACHES = Syntax("URLs of binary caches", rf"[ \t\n]*({_PLAIN_CACHE}([ \t\n]+{_PLAIN_CACHE})*)?[ \t\n]*")


def _nix_options(options: dict[str, str]) -> dict[str, str]:
    """A store's address has parameters of its own (`?trusted=1` takes what nobody signed), or is another program's."""
    addresses = options.get("substituters", "")
    if not PLAIN_CACHES.fits(addresses):
        odd = next((each for each in addresses.split() if not re.fullmatch(_PLAIN_CACHE, each)), addresses)
        raise ValueError(f"substituters: {odd!r} is not a plain http(s) address")
    return options


KEY_PATH = Syntax("path", f'((?!\\$\\{{)[^"\\\\{_UNPRINTED}])*')


def _key_path(path: Path) -> Path:
    """Paths that OpenSSH reads as we do: in its configuration it has no way to quote these signs."""
    if not KEY_PATH.fits(str(path)):
        raise ValueError(f"{str(path)!r} has a quote, a backslash, ${{ or what does not print; rename the file")
    return path


Truth = Annotated[bool, BeforeValidator(_truth)]
IpAddress = Annotated[str, AfterValidator(_canonical_address), IP_ADDRESS.schema]
JumpHost = Annotated[str, AfterValidator(_jump_host), JUMP_HOST.schema]
IpOrName = Annotated[str, AfterValidator(_address_or_name), IP_OR_NAME.schema]
Cidr = Annotated[str, AfterValidator(_canonical_cidr), CIDR.schema]
InterfaceAddress = Annotated[str, AfterValidator(_canonical_interface_address), INTERFACE_ADDRESS.schema]
DnsLabel = Annotated[str, AfterValidator(dns_label), DNS_LABEL.schema]
DnsName = Annotated[str, AfterValidator(dns_name), DNS_NAME.schema]
Mac = Annotated[str, AfterValidator(_mac), MAC.schema]
LinkName = Annotated[str, AfterValidator(_link), LINK_NAME.schema]
PublicKey = Annotated[str, AfterValidator(_public_key), PUBLIC_KEY.schema]
DIGITS = BeforeValidator(_digits)
Port = Annotated[int, Field(ge=1, le=65535), DIGITS]
Ports = Annotated[str, AfterValidator(_ports), PORTS.schema]
Source = Annotated[str, AfterValidator(_source), SOURCE.schema]
K0sFlag = Annotated[str, AfterValidator(_k0s_flag), K0S_FLAG.schema]
Bytes = Annotated[int, BeforeValidator(_bytes), SIZE.schema]
Seconds = Annotated[float, BeforeValidator(_seconds), DURATION.schema]
Share = Annotated[str, AfterValidator(share), SHARE.schema]
Device = Annotated[str, AfterValidator(_device), DEVICE.schema]
MountPoint = Annotated[str, AfterValidator(_mount_point), MOUNT_POINT.schema]
UserName = Annotated[str, AfterValidator(_user_name), USER_NAME.schema]
Tag = Annotated[str, AfterValidator(_tag), TAG.schema]
Url = Annotated[str, AfterValidator(_url), URL.schema]
HttpUrl = Annotated[str, AfterValidator(_http_url), HTTP_URL.schema]
ProxyUrl = Annotated[str, AfterValidator(_proxy_url), PROXY_URL.schema]
Direct = Annotated[str, AfterValidator(_direct), DIRECT.schema]
FlakeUrl = Annotated[str, AfterValidator(_flake), FLAKE_URL.schema]
HttpsUrl = Annotated[str, AfterValidator(_https_url), HTTPS_URL.schema]
Certificates = Annotated[str, AfterValidator(_certificates), CERTIFICATES.schema]
Quantity = Annotated[str, AfterValidator(_quantity), QUANTITY.schema]
Threshold = Annotated[str, AfterValidator(_threshold), THRESHOLD.schema]
Resource = Literal["cpu", "memory", "ephemeral-storage", "pid"]
EvictionSignal = Literal[
    "memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree",
    "pid.available",
]  # fmt: skip
CacheKey = Annotated[str, AfterValidator(_cache_key), CACHE_KEY.schema]
CacheStore = Annotated[str, AfterValidator(_cache_store), CACHE_STORE.schema]
LabelKey = Annotated[str, AfterValidator(label_key), LABEL_KEY.schema]
LabelValue = Annotated[str, AfterValidator(label_value), LABEL_VALUE.schema]
Taint = Annotated[str, AfterValidator(taint), TAINT.schema]
K0sVersion = Annotated[str, AfterValidator(_k0s_version), K0S_VERSION.schema]
NixosRelease = Annotated[str, AfterValidator(_nixos_release), NIXOS_RELEASE.schema]
AuthPass = Annotated[str, AfterValidator(_auth_pass), AUTH_PASS.schema]
TimeZone = Annotated[str, AfterValidator(_time_zone), TIME_ZONE.schema]
Calendar = Annotated[str, AfterValidator(_calendar), CALENDAR.schema]
GitBranch = Annotated[str, AfterValidator(_git_branch), GIT_BRANCH.schema]
Registry = Annotated[str, AfterValidator(_registry), REGISTRY.schema]
RegistryOrAll = Annotated[str, AfterValidator(_registry_or_all), REGISTRY_OR_ALL.schema]
SecretName = Annotated[str, AfterValidator(_secret_name), SECRET_NAME.schema]
HostName = Annotated[str, AfterValidator(_host_name), HOST_NAME.schema]
Mtu = Annotated[int, Field(ge=1280, le=9216), DIGITS]
NixHash = Annotated[str, AfterValidator(_nix_hash), NIX_HASH.schema]
Text = Annotated[str, AfterValidator(_text), TEXT.schema]
Cron = Annotated[str, AfterValidator(_cron), CRON.schema]
ResticRepository = Annotated[str, AfterValidator(_restic), RESTIC.schema]
Version = Annotated[str, AfterValidator(_version), VERSION.schema]
Email = Annotated[str, AfterValidator(_email), EMAIL.schema]
ChartName = Literal[
    "cert-manager", "cilium", "cloudnative-pg", "external-dns", "external-secrets", "external-snapshotter",
    "flux-operator", "forgejo", "gateway-api", "gitea", "gitlab", "kube-prometheus-stack", "local-path-provisioner",
    "openbao", "openebs", "prometheus-operator", "snapshot-controller", "spegel", "victoria-metrics-k8s-stack",
    "volsync",
]  # fmt: skip
"""The charts of the stages, and the sets of CRDs (generate/gitops/charts.py has where they are)."""
ImageName = Literal["forgejo", "gitea", "openbao", "podinfo", "postgresql", "seaweedfs", "valkey", "volsync"]
FlagValue = Annotated[str, AfterValidator(_flag_value), FLAG_VALUE.schema]
KeyPath = Annotated[Path, AfterValidator(_key_path), KEY_PATH.schema]
NixOption = Annotated[str, AfterValidator(_nix_option), Syntax("option of Nix", one_of(*sorted(NIX_OPTIONS))).schema]
NixOptions = Annotated[dict[NixOption, Text], AfterValidator(_nix_options)]
FreeForm = dict[str, Any]
