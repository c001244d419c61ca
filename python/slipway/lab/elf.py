"""What a program file needs from the machine that runs it."""

from __future__ import annotations

import re
import struct
from pathlib import Path

from slipway.tools.run import run

_MAGIC = b"\x7fELF\x02\x01"
"""64 bit, little endian: every processor that the lab runs on."""
_PT_INTERP = 3
"""The program header that names a dynamic loader (elf(5))."""
_SHT_NOBITS = 8
"""The kind of a section that takes no room in the file."""


def is_static(path: Path) -> bool:
    """Whether `path` is an executable that runs in an empty root file system; False for scripts."""
    with path.open("rb") as stream:
        header = stream.read(64)
        if not header.startswith(_MAGIC) or len(header) < 64:
            return False
        (offset,) = struct.unpack_from("<Q", header, 32)
        size, count = struct.unpack_from("<HH", header, 54)
        stream.seek(offset)
        table = stream.read(size * count)
    kinds = (struct.unpack_from("<I", table, index * size)[0] for index in range(count))
    return _PT_INTERP not in kinds


def attached(path: Path) -> int:
    """Bytes behind the end of the program itself, which its headers know nothing of; 0 for what is no program."""
    with path.open("rb") as stream:
        header = stream.read(64)
        if not header.startswith(_MAGIC) or len(header) < 64:
            return 0
        (offset,) = struct.unpack_from("<Q", header, 40)
        size, count = struct.unpack_from("<HH", header, 58)
        stream.seek(offset)
        table = stream.read(size * count)
    end: int = max(offset + len(table), 64)
    for index in range(count):
        (kind,) = struct.unpack_from("<I", table, index * size + 4)
        start, length = struct.unpack_from("<QQ", table, index * size + 24)
        end = end if kind == _SHT_NOBITS else max(end, start + length)
    return max(0, path.stat().st_size - end)


def libraries(path: Path) -> tuple[Path, ...]:
    """The shared libraries that `path` loads, its loader included, as ldd names them; empty for a static program."""
    if is_static(path):
        return ()
    said = run(["ldd", path]).stdout
    return tuple(sorted({Path(found) for found in re.findall(r"(/\S+) \(0x", said)}))
