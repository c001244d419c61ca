"""A question to a DNS server, asked with what every machine has."""

from __future__ import annotations

import shlex
import socket
from collections.abc import Sequence

from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun

BOUND = 20.0
TRIES, WAIT = 3, 2
"""Questions, a datagram each, and seconds for an answer."""
NUMBER = bytes([0x51, 0x1D])
RECORDS = {socket.AF_INET: bytes([0, 1, 0, 1]), socket.AF_INET6: bytes([0, 28, 0, 1])}
"""The kind of record that has an address of the family, A and AAAA, and its class."""

# Neither dig nor host is on every machine; bash opens UDP by itself. dd, because bash ends a datagram at a newline.
ASK = """
for try in $(seq "$4"); do
  exec 3<>"/dev/udp/$0/$1" || exit 3
  printf "$2" | dd bs=4096 iflag=fullblock >&3 2>/dev/null
  said=$(timeout "$3" dd bs=4096 count=1 <&3 2>/dev/null | od -An -v -tx1 | tr -d ' \\n')
  [ -z "$said" ] || break
done
echo "$said"
"""


def address_of(host: NodeHost, server: str, name: str, within: Sequence[str] = ()) -> str:
    """The address of its own family that `server` knows of `name`, or what it answers instead. `within` as in
    `_tcp.tried`."""
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    question = "".join(f"\\x{byte:02x}" for byte in query(name, family))
    words = [*within, "bash", "-c", ASK, server, "53", question, str(WAIT), str(TRIES)]
    said = host.check_output(shlex.join(words), timeout=BOUND).strip()
    return answer(bytes.fromhex(said), family) if said else "no answer"


def query(name: str, family: socket.AddressFamily) -> bytes:
    """A question for the address of `name` (RFC 1035, section 4; RFC 3596)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return NUMBER + bytes([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + labels + b"\0" + RECORDS[family]


def answer(said: bytes, family: socket.AddressFamily) -> str:
    """The address in an answer with one record, or what the answer is instead. Raises CannotRun for what is none."""
    if len(said) < 12 or said[:2] != NUMBER:
        raise CannotRun(f"what came back is no answer of DNS: {said[:16].hex()}")
    code, records = said[3] & 0x0F, int.from_bytes(said[6:8], "big")
    if code or not records:
        return f"an answer without an address (code {code})"
    try:
        return socket.inet_ntop(family, _data(said, RECORDS[family]))
    except ValueError:
        raise CannotRun("the answer holds no record with an address") from None


def _data(said: bytes, record: bytes) -> bytes:
    """The data of the first such record: behind the question, its own name, type, class, time and length. Raises
    ValueError where there is none."""
    at = said.index(record, said.index(record, 12) + len(record)) + len(record) + 4
    return said[at + 2 : at + 2 + int.from_bytes(said[at : at + 2], "big")]
