"""Secrets in plain sight: what is one, where it is looked for, and what is left out."""

import base64

import pytest

from slipway.secret import Secret
from slipway.secrets import leaks
from slipway.tools.run import run

VALUE = "a-value-that-nobody-may-see"
NEEDLES = leaks.needles({"the value": Secret(VALUE), "short": Secret("short")})


def found(path: str, text: str) -> list[str]:
    return [leak.what for leak in leaks._in(path, text, NEEDLES)]


@pytest.mark.parametrize(
    "form", [VALUE, base64.b64encode(VALUE.encode()).decode(), base64.b64encode(VALUE.encode() + b"\n").decode()]
)
def test_a_value_is_found_in_every_form(form):
    assert found("notes", f"before {form} after") == ["the value"]
    assert found("notes", "before after") == []


def test_what_is_too_short_to_be_looked_for_is_not():
    assert "short" not in NEEDLES


def test_a_private_key_of_age_is_found_whoever_has_it():
    assert found("x", "AGE-SECRET-KEY-1" + "Q" * 58) == ["a private age key"]


SECRET = "kind: Secret\nmetadata: {{name: it}}\n{data}\n"


@pytest.mark.parametrize(
    ("data", "plain"),
    [("data: {a: eA==}", True), ("stringData: {a: x}", True), ("data: {a: 'ENC[AES256_GCM,data:x]'}", False),
     ("data: {a: ''}", False), ("data: {a: '${token}'}", False),
     ("stringData: {a: REPLACE-ME}", False), ("data:", False), ("", False)],
)  # fmt: skip
def test_a_manifest_is_plain_if_some_value_is(data, plain):
    text = SECRET.format(data=data)
    assert found("gitops/a.yaml", text) == (["the Secret it"] if plain else [])
    assert found("docs/example.yaml", text) == []


def test_history_is_looked_through_and_what_is_too_large_is_counted(tmp_path):
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]

    def git(*words: str) -> None:
        run(["git", "-C", str(tmp_path), *who, *words])

    git("init", "--quiet", "--initial-branch=main")
    (tmp_path / "a b.txt").write_text(VALUE)
    (tmp_path / "large").write_bytes(b"x" * (leaks.MOST_FILE + 1))
    git("add", "--all")
    git("commit", "--quiet", "-m", "one")
    git("switch", "--quiet", "--orphan", "other")
    git("commit", "--quiet", "--allow-empty", "-m", "two")
    looked = leaks.look(tmp_path, NEEDLES)
    assert [(leak.path, leak.what, len(leak.object)) for leak in looked.leaks] == [("a b.txt", "the value", 40)]
    assert (looked.objects, looked.left_out) == (1, 1)


def test_a_folder_without_a_repository_is_looked_through_as_far_as_it_is_slipways(tmp_path):
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "plain.yaml").write_text(VALUE)
    assert [str(leak) for leak in leaks.look(tmp_path, NEEDLES).leaks] == [
        "secrets/plain.yaml: the value in plain text"
    ]
