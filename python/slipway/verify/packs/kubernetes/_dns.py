"""A question to a DNS server, asked with what every machine has."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from slipway.verify.backend import NodeHost
from slipway.verify.check import CannotRun

BOUND = 20.0
TRIES, WAIT = 3, 2
"""Questions, a datagram each, and seconds for an answer."""
NUMBER = bytes([0x51, 0x1D])
A_RECORD = bytes([0, 1, 0, 1])

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
    """The address that `server` knows of `name`, or what it answers instead. `within` as in `_tcp.tried`."""
    question = "".join(f"\\x{byte:02x}" for byte in query(name))
    words = [*within, "bash", "-c", ASK, server, "53", question, str(WAIT), str(TRIES)]
    said = host.check_output(shlex.join(words), timeout=BOUND).strip()
    return answer(bytes.fromhex(said)) if said else "no answer"


def query(name: str) -> bytes:
    """A question for the A record of `name` (RFC 1035, section 4)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return NUMBER + bytes([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]) + labels + b"\0" + A_RECORD


def answer(said: bytes) -> str:
    """The address in an answer with one A record, or what the answer is instead. Raises CannotRun for what is none."""
    if len(said) < 12 or said[:2] != NUMBER:
        raise CannotRun(f"what came back is no answer of DNS: {said[:16].hex()}")
    code, records = said[3] & 0x0F, int.from_bytes(said[6:8], "big")
    if code or not records:
        return f"an answer without an address (code {code})"
    return ".".join(str(byte) for byte in said[_data(said) :][:4])


def _data(said: bytes) -> int:
    """Where the data of the first A record begins: behind the question, its own name, type, class, time and length."""
    at = said.find(A_RECORD, 12)
    at = said.find(A_RECORD, at + 4)
    if at < 0:
        raise CannotRun("the answer holds no A record")
    return at + 10
