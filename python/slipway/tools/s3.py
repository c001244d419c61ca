"""One object of an S3 account, read or written; requests are signed as AWS has it (Signature Version 4)."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import os
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from slipway.errors import InvalidInput, SlipwayError, Unreachable
from slipway.secret import Secret

PREFIX = "s3:"
TIMEOUT = 300.0
REGION = "us-east-1"
"""What S3 stands for where no region is said; SeaweedFS, MinIO and others take any."""
REGION_NAME = "AWS_DEFAULT_REGION"
ALGORITHM = "AWS4-HMAC-SHA256"
SIGNED = "host;x-amz-content-sha256;x-amz-date"
MOST = 1 << 30


class S3Refused(SlipwayError):
    """The account's server answered, and not as was asked; `status` is 0 where it did not answer at all."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class S3Unreachable(S3Refused, Unreachable):
    """Nobody answered there."""


@dataclass(frozen=True)
class Account:
    key: str
    secret: Secret
    region: str = REGION

    @classmethod
    def of(cls, values: Mapping[str, Secret]) -> Account:
        """By the names that restic and AWS's own tools have for them; a region that none of the values says is the
        environment's. Raises InvalidInput."""
        try:
            key, secret = values["AWS_ACCESS_KEY_ID"].reveal().decode(), values["AWS_SECRET_ACCESS_KEY"]
        except KeyError as missing:
            raise InvalidInput(f"S3: {missing.args[0]} is not set", hint=f"export {missing.args[0]}=...") from None
        region = values.get(REGION_NAME, Secret("")).reveal().decode() or os.environ.get(REGION_NAME)
        return cls(key, secret, region or REGION)


@dataclass(frozen=True)
class Place:
    """An object: s3:https://HOST[:PORT]/BUCKET/NAME, as restic writes addresses; http:// for one within reach."""

    secure: bool
    host: str
    path: str

    @classmethod
    def parse(cls, address: str) -> Place:
        """Raises InvalidInput."""
        found = urllib.parse.urlsplit(address.removeprefix(PREFIX))
        parts = [part for part in found.path.split("/") if part]
        if found.scheme not in ("http", "https") or not found.netloc or len(parts) < 2:
            raise InvalidInput(f"{address}: not an object of S3", hint="s3:https://HOST/BUCKET/NAME")
        return cls(found.scheme == "https", found.netloc, "/" + "/".join(map(urllib.parse.quote, parts)))

    def __str__(self) -> str:
        return f"{PREFIX}{'https' if self.secure else 'http'}://{self.host}{self.path}"


def read(place: Place, account: Account) -> bytes:
    """The object's content. Raises S3Refused."""
    return _ask("GET", place, account, b"")


def write(place: Place, account: Account, content: bytes) -> None:
    """Put the object there, in the place of one that is. Raises S3Refused."""
    _ask("PUT", place, account, content)


def _ask(method: str, place: Place, account: Account, content: bytes) -> bytes:
    kind = http.client.HTTPSConnection if place.secure else http.client.HTTPConnection
    connection = kind(place.host, timeout=TIMEOUT)
    try:
        connection.request(method, place.path, body=content, headers=headers(method, place, account, content))
        answer = connection.getresponse()
        said = answer.read(MOST)
    except (OSError, http.client.HTTPException) as error:
        raise S3Unreachable(f"{place}: {error or type(error).__name__}") from None
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise S3Refused(f"{place}: HTTP {answer.status} {answer.reason}", answer.status)
    return said


def headers(method: str, place: Place, account: Account, content: bytes, now: datetime | None = None) -> dict[str, str]:
    """What signs the request."""
    time = (now or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(content).hexdigest()
    named = (f"host:{place.host}", f"x-amz-content-sha256:{digest}", f"x-amz-date:{time}")
    request = "\n".join((method, place.path, "", *named, "", SIGNED, digest))
    scope = f"{time[:8]}/{account.region}/s3/aws4_request"
    text = "\n".join((ALGORITHM, time, scope, hashlib.sha256(request.encode()).hexdigest()))
    signature = hmac.new(_key(account, time[:8]), text.encode(), hashlib.sha256).hexdigest()
    signed = f"{ALGORITHM} Credential={account.key}/{scope}, SignedHeaders={SIGNED}, Signature={signature}"
    return {"Host": place.host, "x-amz-content-sha256": digest, "x-amz-date": time, "Authorization": signed}


def _key(account: Account, day: str) -> bytes:
    key = b"AWS4" + account.secret.reveal()
    for part in (day, account.region, "s3", "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key
