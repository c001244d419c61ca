"""Join tokens: one for each node, short-lived, invalid as soon as it has served.

The token is a secret all the way: it leaves k0s on standard output over SSH, stays in memory here, and reaches the node
on standard input, into a file of root's. Its public half is written down by the controller that makes it, also where
nobody listens any more, so that a run after one that was killed knows what to take back.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from slipway.cluster.cleanup import at_last
from slipway.errors import DeployFailed, SlipwayError
from slipway.result import CommandFailed
from slipway.secret import Secret
from slipway.ssh.host import Host

TOKEN_FILE = "/etc/k0s/k0stoken"  # noqa: S105 (its path, not the token)
ISSUED = "/var/lib/slipway/join-token-"
"""Followed by a token's id: a file on the controller that made it, with the name of the node that it is for."""
LOCK = "/var/lib/slipway/join-tokens.lock"
"""Held, by any number, while a token is made."""
CREATE_TIMEOUT = 60.0
"""Seconds for k0s to make one; GRACE more for the answer, and for whoever wants to know what was made."""
INVALIDATE_TIMEOUT = 30.0
GRACE = 15.0

# `$1` is the node, `$2` the kind, `$3` how long the token lives, `$4` seconds, `$5` what notes begin with, `$6` the
# lock. It goes on where the deployer is gone: k0s's own words go into a file, since writing to nobody would end it
# before the note is there.
CREATE = r"""umask 077
mkdir -p "${5%/*}" && exec 9>"$6" && flock -s -w "$4" 9 || exit
words=$6.$$
trap 'rm -f "$words"' EXIT
said=$(timeout "$4" k0s token create "--role=$2" "--expiry=$3" 2>"$words")
ended=$?
token='s/.*token"\{0,1\}: *"\{0,1\}\([a-z0-9]\{6\}\)\.[a-z0-9].*/\1/p'
id=$(printf %s "$said" | base64 -d 2>/dev/null | gzip -dc 2>/dev/null | sed -n "$token" | head -n 1)
[ -z "$id" ] || printf %s "$1" >"$5$id"
cat "$words" >&2
printf '%s\n' "$said"
exit "$ended"
"""
# `$1` is the node, `$2` seconds, then as above. Waits until no token is being made.
NOTED = """[ -e "$4" ] || exit 0
exec 9>"$4" && flock -w "$2" 9 || exit
for note in "$3"*; do
  if [ -f "$note" ] && [ "$(head -c 300 "$note")" = "$1" ]; then echo "${note#"$3"}"; fi
done
"""

ID = re.compile(r"[a-z0-9]{6}")
"""Of a bootstrap token, which k0s's tokens are (Kubernetes: TOKEN_ID.TOKEN_SECRET)."""


class Kind(StrEnum):
    """What may join with a token."""

    WORKER = "worker"
    CONTROLLER = "controller"


# What k0sctl allows, too: joining etcd takes longer.
EXPIRY = {Kind.WORKER: "10m", Kind.CONTROLLER: "30m"}


@dataclass(frozen=True)
class JoinToken:
    """`id` is public, the name by which it is invalidated; `content` is what k0s wants in its token file."""

    id: str
    content: Secret


def create(controller: Host, kind: Kind, node: str) -> JoinToken:
    """Make a token on a running controller, which writes down that it is out, and for whom."""
    words = [node, kind.value, EXPIRY[kind], f"{CREATE_TIMEOUT:.0f}", ISSUED, LOCK]
    argv = ["sh", "-c", CREATE, "make a join token", *words]
    content = Secret(controller.run(argv, timeout=CREATE_TIMEOUT + GRACE).stdout.strip())
    try:
        return JoinToken(_id(content), content)
    except (ValueError, EOFError, OSError, LookupError, TypeError, yaml.YAMLError):
        # Without the cause: it may hold a part of the token.
        raise DeployFailed(f"{controller.name}: k0s token create: not a join token of the form that k0s has") from None


def _id(content: Secret) -> str:
    """The public half of the bootstrap token in it; the form is base64(gzip(kubeconfig)) with one user."""
    try:
        packed = base64.b64decode(content.reveal(), validate=True)
    except binascii.Error as error:
        raise ValueError from error
    kubeconfig: dict[str, Any] = yaml.safe_load(gzip.decompress(packed))
    text: str = kubeconfig["users"][0]["user"]["token"]
    name, secret = text.split(".")
    if not (ID.fullmatch(name) and secret):
        raise ValueError
    return name


def invalidate(controller: Host, token_id: str) -> None:
    """Delete the token from the cluster; whoever has joined by it stays. One that has run out is gone already."""
    result = controller.run(["k0s", "token", "invalidate", token_id], timeout=INVALIDATE_TIMEOUT, check=False)
    if not result.ok and "not found" not in result.excerpt():
        raise CommandFailed(result)


def noted(controller: Host, node: str) -> list[str]:
    """The ids of tokens that are out for a node by this controller's notes, once none is being made."""
    words = [node, f"{CREATE_TIMEOUT:.0f}", ISSUED, LOCK]
    argv = ["sh", "-c", NOTED, "look for join tokens", *words]
    with controller.run(argv, timeout=CREATE_TIMEOUT + GRACE).read() as said:
        if not all(map(ID.fullmatch, said.split())):
            raise ValueError(said)
        return said.split()


def take_back(controller: Host, token_id: str) -> None:
    """Invalidate a token and strike it from the controller's notes."""
    invalidate(controller, token_id)
    controller.run(["rm", "-f", ISSUED + token_id])


def _take_back_of(controller: Host, node: str) -> None:
    for token_id in noted(controller, node):
        take_back(controller, token_id)


def place(node: Host, token: JoinToken) -> None:
    """Give the node its token."""
    node.put(TOKEN_FILE, token.content, mode=0o600)


def clear(node: Host) -> None:
    """Leave an empty file: a member of the cluster ignores it, and a controller that has lost its data fails on it
    instead of founding a second cluster."""
    node.put(TOKEN_FILE, b"", mode=0o600)


@contextmanager
def given(controller: Host, node: Host, kind: Kind) -> Iterator[JoinToken]:
    """`node` has a token of its own for as long as the block lasts, however that ends."""
    try:
        token = create(controller, kind, node.name)
    except BaseException:
        # Nobody told us of it, and yet it may be there, or about to be.
        with suppress(SlipwayError):
            at_last(controller, lambda host: _take_back_of(host, node.name))
        raise
    try:
        place(node, token)
        yield token
    finally:
        try:
            at_last(controller, lambda host: take_back(host, token.id))
        finally:
            at_last(node, clear)
