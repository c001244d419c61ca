"""IP addresses of names, asked from the name servers of this machine."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor, TimeoutError

DEADLINE = 5.0
"""Seconds for one name; a resolver has its own idea of how long to try."""


def lookup(name: str) -> str | None:
    """The first address of a name, IPv4 before IPv6; None if there is none, or nobody answers in time."""
    pool = ThreadPoolExecutor(1)
    try:
        found = pool.submit(socket.getaddrinfo, name, None, type=socket.SOCK_STREAM).result(DEADLINE)
    except (OSError, UnicodeError, TimeoutError):
        return None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    addresses = [str(each[4][0]) for each in sorted(found, key=lambda each: each[0] != socket.AF_INET)]
    return addresses[0] if addresses else None
