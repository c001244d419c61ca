"""A Secret as a person edits it: nothing of it on a disk, and nothing wrong gets in."""

import stat
from pathlib import Path

import pytest

from slipway.errors import PrerequisiteMissing
from slipway.generate.gitops.secrets import BY_NAME
from slipway.secret import Secret
from slipway.secrets import editing

SEAL = BY_NAME["openbao-seal"]
VALUES = {"key": Secret("ab" * 32), "key-id": Secret("a"), "previous-key": Secret(""), "previous-key-id": Secret("")}


@pytest.mark.parametrize(
    "value", [b"plain", b"", b"with: colon # and hash", b"'\"\\", b"a\nb\n", b" x ", b"\xff\x00", "ü".encode()]
)
def test_what_is_written_is_read_back_byte_for_byte(value):
    about = BY_NAME["openbao-admin"]
    shown = editing.text(about, {"password": Secret(value), "n": Secret("123")})
    assert editing.values_of(shown, "here") == {"password": Secret(value), "n": Secret("123")}


def test_each_value_is_shown_with_what_it_must_be():
    shown = editing.text(SEAL, VALUES).reveal().decode()
    assert "# 64 hex digits and no newline\n" in shown
    assert shown.startswith("# openbao/openbao-seal: openbao, which opens itself with it.")


@pytest.mark.parametrize("text", ["- a", "just words", "a: [", "a: 1", "a: {b: c}"])
def test_what_is_no_list_of_values_is_refused_without_a_quote(text):
    with pytest.raises(editing.WrongValues) as refused:
        editing.values_of(Secret(text), "standard input")
    assert "words" not in str(refused.value)


def test_all_faults_are_told_at_once():
    with pytest.raises(editing.WrongValues, match=r"key: not 64 hex digits .* 3 bytes; key-id: missing"):
        editing.require_right(SEAL, {**{k: v for k, v in VALUES.items() if k != "key-id"}, "key": Secret("abc")})
    editing.require_right(SEAL, VALUES)


def test_a_secret_with_any_keys_has_at_least_one_and_none_is_empty():
    dns = BY_NAME["external-dns"]
    assert editing.faults(dns, {}) == ("it has no value at all",)
    assert editing.faults(dns, {"TOKEN": Secret("")}) == ("TOKEN: it is empty",)
    assert editing.faults(dns, {"TOKEN": Secret("x")}) == ()


def test_the_file_is_its_owners_in_memory_and_gone_afterwards():
    with editing.in_memory(Secret("a: b"), "x.yaml") as file:
        assert file.read_bytes() == b"a: b"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
        assert file.is_relative_to("/dev/shm")
        (file.parent / ".x.yaml.swp").write_text("an editor's copy")
    assert not file.parent.exists()


def test_a_folder_that_an_editor_left_is_gone_too():
    with editing.in_memory(Secret("a: b"), "x.yaml") as file:
        (file.parent / ".undo").mkdir()
        (file.parent / ".undo" / "x.yaml").write_text("a: b")
        (file.parent / "link").symlink_to(Path(__file__))
    assert not file.parent.exists()
    assert Path(__file__).exists()


def test_it_is_gone_after_an_error_too():
    with pytest.raises(RuntimeError), editing.in_memory(Secret("a: b"), "x.yaml") as file:
        raise RuntimeError
    assert not file.parent.exists()


def test_a_disk_is_not_taken_for_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(editing, "MEMORY", Path(tmp_path))
    with pytest.raises(PrerequisiteMissing, match="not in memory") as refused, editing.in_memory(Secret("a"), "x"):
        pass
    assert refused.value.hint == "use --stdin, which needs no file"
    assert list(tmp_path.iterdir()) == []
