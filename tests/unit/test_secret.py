from pathlib import Path

import pytest

from slipway.secret import Secret


def test_a_secret_never_shows_itself():
    secret = Secret("poison")
    assert "poison" not in f"{secret} {secret!r} {[secret]} {{'a': secret}}"


def test_reveal_gives_the_bytes():
    assert Secret("päss").reveal() == "päss".encode()


def test_a_secret_file_lives_in_memory_and_only_inside_the_block():
    with Secret("poison").as_file() as path:
        assert Path(path).read_text() == "poison"
        assert str(Path(path).resolve()).startswith("/memfd:")
        assert Path(path).stat().st_mode & 0o777 == 0o600
    with pytest.raises(OSError, match=path):
        Path(path).read_text()
