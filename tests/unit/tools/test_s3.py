"""Addresses and signatures of S3; SeaweedFS judges the signatures in the lab's drill."""

from datetime import UTC, datetime

import pytest

from slipway.errors import InvalidInput
from slipway.secret import Secret
from slipway.tools import s3
from slipway.tools.s3 import Account, Place

ACCOUNT = Account("AKIDEXAMPLE", Secret("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"))
PLACE = Place.parse("s3:https://s3.example.org:9000/backups/a b/homelab.bundle")
NOW = datetime(2026, 11, 26, 3, 0, 0, tzinfo=UTC)


def test_an_address_is_read_as_restic_writes_them():
    assert (PLACE.secure, PLACE.host, PLACE.path) == (True, "s3.example.org:9000", "/backups/a%20b/homelab.bundle")
    assert not Place.parse("s3:http://127.0.0.1:8333/b/n").secure


@pytest.mark.parametrize(
    "address", ["s3:bucket/name", "s3:https://host", "s3:https://host/bucket", "s3:ftp://h/b/n", ""]
)
def test_what_is_no_object_is_refused(address):
    with pytest.raises(InvalidInput, match="not an object of S3"):
        Place.parse(address)


def test_an_account_without_its_secret_is_told_by_the_variable():
    with pytest.raises(InvalidInput, match="AWS_SECRET_ACCESS_KEY is not set"):
        Account.of({"AWS_ACCESS_KEY_ID": Secret("x")})


@pytest.mark.parametrize(
    ("said", "around", "region"),
    [("eu-west-1", "eu-north-1", "eu-west-1"), ("", "eu-north-1", "eu-north-1"), (None, "eu-north-1", "eu-north-1"),
     ("eu-west-1", "", "eu-west-1"), (None, "", "us-east-1")],
)  # fmt: skip
def test_the_region_is_the_secrets_own_as_for_restic(monkeypatch, said, around, region):
    monkeypatch.setenv("AWS_DEFAULT_REGION", around)
    keys = {"AWS_ACCESS_KEY_ID": Secret("x"), "AWS_SECRET_ACCESS_KEY": Secret("y")}
    own = {} if said is None else {"AWS_DEFAULT_REGION": Secret(said)}
    assert Account.of({**keys, **own}).region == region


def signature(**how) -> str:
    given = {"method": "GET", "place": PLACE, "account": ACCOUNT, "content": b"", "now": NOW, **how}
    return s3.headers(**given)["Authorization"]


def test_the_secret_is_not_in_what_is_sent_and_everything_is_signed():
    sent = s3.headers("PUT", PLACE, ACCOUNT, b"content", NOW)
    assert ACCOUNT.secret.reveal().decode() not in str(sent)
    assert sent["Authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261126/us-east-1/s3/aws4_request, SignedHeaders=host;"
    )
    others = ({"method": "PUT"}, {"content": b"x"}, {"account": Account("AKIDEXAMPLE", Secret("other"))},
              {"place": Place.parse("s3:https://s3.example.org:9000/backups/other")})  # fmt: skip
    assert len({signature(), *(signature(**each) for each in others)}) == 5


def test_a_server_that_is_not_there_is_told_with_the_address():
    with pytest.raises(s3.S3Refused, match=r"s3:http://127\.0\.0\.1:1/b/n: ") as caught:
        s3.read(Place.parse("s3:http://127.0.0.1:1/b/n"), ACCOUNT)
    assert caught.value.exit_code == 5
