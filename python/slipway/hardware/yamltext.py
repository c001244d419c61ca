"""How a proposal writes YAML: texts, lists and remarks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence

from slipway import words

_PLAIN = re.compile(r"[A-Za-z0-9/][A-Za-z0-9/._@+-]*(:[A-Za-z0-9/._@+-]+)*")


def indented(lines: Iterable[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def scalar(text: str) -> str:
    """A text as YAML that is one anywhere, in a list too."""
    return text if _PLAIN.fullmatch(text) and text.lower() != "null" else json.dumps(text)


def listed(texts: Sequence[str]) -> str:
    return f"[{', '.join(map(scalar, texts))}]"


def remark(*texts: str | None) -> str:
    told = words.line("; ".join(text for text in texts if text))
    return f"  # {told}" if told else ""


def one_line(text: str) -> str:
    """A line of the proposal as one line: what a machine says of itself may hold a line's end."""
    return words.plain(text).replace("\n", " ").replace("\t", " ")


def size_of(bytes_: int) -> str:
    """As a person says it: 931.5 GiB."""
    units = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"))
    unit, word = next(((unit, word) for unit, word in units if bytes_ >= unit), units[-1])
    return f"{bytes_ / unit:.1f} {word}"
