"""What a value must look like; the commonest faults are a newline at the end and a value that is too short."""

from datetime import date

import pytest

from slipway.generate.gitops.secrets import MADE, Form, Key
from slipway.secret import Secret
from slipway.secrets import forms

IDENTITY = b"AGE-SECRET-KEY-1QQQSYQCYQ5RQWZQFPG9SCRGWPUGPZYSNZS23V9CCRYDPK8QARC0S2TQ8Z\n"
SEAL = b"0123456789abcdef" * 4
GOOD = {
    Form.AGE: IDENTITY, Form.NAME: b"flux", Form.PASSWORD: b"sixteen-letters-", Form.TOKEN: b"t" * 32, Form.SEAL: SEAL,
    Form.SEAL_BEFORE: b"", Form.SEAL_ID: b"20261126-1", Form.SEAL_ID_BEFORE: b"", Form.BYTES_32: b"\x00" * 32,
    Form.GIVEN: b"AKIA", Form.REPOSITORY: b"s3:https://s3.example.org/backups/a/b/c", Form.ANY: b"\n",
}  # fmt: skip
BAD = [
    (Form.AGE, b"age1public"), (Form.NAME, b""), (Form.NAME, b" flux"), (Form.PASSWORD, b"sixteen-letters-\n"),
    (Form.PASSWORD, b"fifteen-letters"), (Form.TOKEN, b"t" * 31), (Form.TOKEN, b"t" * 32 + b"\n"),
    (Form.SEAL, SEAL + b"\n"),
    (Form.SEAL, SEAL[:-1]), (Form.SEAL, b"g" * 64), (Form.SEAL, b""), (Form.SEAL_BEFORE, b"\n"), (Form.SEAL_ID, b""),
    (Form.SEAL_ID, b"a b"), (Form.SEAL_ID_BEFORE, b"\n"), (Form.BYTES_32, b"k" * 31), (Form.BYTES_32, b"k" * 33),
    (Form.GIVEN, b""), (Form.GIVEN, b"AKIA\n"), (Form.REPOSITORY, b"s3:x\n"), (Form.ANY, b""),
]  # fmt: skip


@pytest.mark.parametrize("form", Form)
def test_a_right_value_has_no_fault(form):
    assert forms.fault(Key("key", form), Secret(GOOD[form])) == ""


@pytest.mark.parametrize(("form", "value"), BAD)
def test_a_wrong_value_is_told_by_its_form_and_never_quoted(form, value):
    said = forms.fault(Key("key", form), Secret(value))
    assert said.startswith(f"not {form}: ")
    assert len(value) < 4 or value.decode().strip() not in said


def test_a_newline_at_the_end_is_named():
    assert forms.fault(Key("key", Form.SEAL), Secret(SEAL + b"\n")).endswith("65 bytes, the last one a newline")


def test_what_is_fixed_is_that_alone():
    assert forms.fault(Key("username", Form.NAME, fixed="flux"), Secret("flux")) == ""
    assert forms.fault(Key("username", Form.NAME, fixed="flux"), Secret("root")) == "not flux"


@pytest.mark.parametrize("form", sorted(MADE))
def test_what_is_made_is_right_and_new_each_time(form):
    made = {forms.make(form, ("20261126-1",)) for _ in range(3)}
    assert all(forms.fault(Key("key", form), value) == "" for value in made)
    assert len(made) == (1 if form is Form.SEAL_ID else 3)


def test_a_name_of_the_seal_never_comes_back():
    today = date(2026, 11, 26)
    assert forms.make(Form.SEAL_ID, (), today).reveal() == b"20261126-1"
    assert forms.make(Form.SEAL_ID, ("20261126-1", "20261126-2"), today).reveal() == b"20261126-3"
