import struct
from pathlib import Path

from slipway.lab.elf import attached, is_static, libraries

PT_LOAD, PT_INTERP = 1, 3


def executable(path: Path, *kinds: int) -> Path:
    """The headers of a 64 bit program with these program headers, and nothing else."""
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", header, 32, 64)
    struct.pack_into("<HH", header, 54, 56, len(kinds))
    path.write_bytes(bytes(header) + b"".join(struct.pack("<I", kind) + bytes(52) for kind in kinds))
    return path


def test_static_is_what_names_no_loader(tmp_path):
    assert is_static(executable(tmp_path / "static", PT_LOAD, PT_LOAD))
    assert not is_static(executable(tmp_path / "dynamic", PT_LOAD, PT_INTERP, PT_LOAD))


def test_a_script_is_not_static(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/bin/sh\n")
    assert not is_static(script)


def test_libraries_of_a_real_program_include_its_loader():
    found = libraries(Path("/bin/sh"))
    assert any(path.name.startswith("libc.so") for path in found)
    assert any(path.name.startswith("ld-") for path in found)
    assert all(path.exists() for path in found)
    assert not is_static(Path("/bin/sh"))


def test_a_static_program_needs_no_libraries(tmp_path):
    assert libraries(executable(tmp_path / "static", PT_LOAD)) == ()


def test_what_is_attached_behind_a_program_is_measured(tmp_path):
    program = Path("/bin/sh").resolve().read_bytes()
    (tmp_path / "program").write_bytes(program)
    assert attached(tmp_path / "program") == 0
    (tmp_path / "program").write_bytes(program + bytes(4321))
    assert attached(tmp_path / "program") == 4321
    (tmp_path / "script").write_text("#!/bin/sh\n" + "x" * 4321)
    assert attached(tmp_path / "script") == 0
