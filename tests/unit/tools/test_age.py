"""Key pairs, with the real age-keygen."""

import pytest

from slipway.errors import SlipwayError
from slipway.secret import Secret
from slipway.tools import age


def test_a_pair_belongs_together():
    pair = age.generate()
    assert pair.public.startswith("age1")
    assert age.public_key(pair.private) == pair.public
    assert pair.public != age.generate().public


def test_a_private_key_is_never_shown():
    pair = age.generate()
    assert "AGE-SECRET-KEY" not in repr(pair)


def test_a_key_file_may_hold_comments_and_several_keys():
    first, second = age.generate(), age.generate()
    text = b"# mine\n" + first.private.reveal() + b"\r\n\n# other\n" + second.private.reveal()
    assert age.identities(Secret(text)) == (first.private, second.private)


def test_a_key_file_without_a_key_is_an_error():
    with pytest.raises(SlipwayError, match="no age identity"):
        age.identities(Secret("# nothing\n"))
