"""The floor of `make bench-fanout`: the least that paramiko needs to log in to each address and run one command there.

It reads no inventory, checks no host key, starts no shell of its own, and says nothing. `python bare.py PORT USER KEY
ADDRESS...`.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import paramiko


def once(port: int, user: str, key: paramiko.PKey, address: str) -> bytes:
    transport = paramiko.Transport((address, port))
    transport.start_client(timeout=60)
    transport.auth_publickey(user, key)
    channel = transport.open_session(timeout=60)
    channel.exec_command("echo in")
    return channel.recv(100)


def main(port: str, user: str, key: str, *addresses: str) -> None:
    ask = partial(once, int(port), user, paramiko.PKey.from_path(key))
    with ThreadPoolExecutor(len(addresses)) as threads:
        for answer in threads.map(ask, addresses):
            print(answer.decode(), end="")


if __name__ == "__main__":
    main(*sys.argv[1:])
