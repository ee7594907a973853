"""Damage of files, the same for the same number."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

Random = np.random.Generator
HEADER = 1500  # bytes in which most of the damage is done
TOKENS = (
    b"nan", b"-inf", b"1e400", b"-1", b"0", b"99999999999999999999", b"", b"abc", b"\x1b[31m", b"\xff\xfe", b"[" * 300,
    b"&a [*a]", b"2001-99-99", b"%s%n", b"../../../etc/passwd", b"=1+1", b"0x7fffffff", b"'", b'"', b"\0",
)  # fmt: skip
HUGE = (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\0\0\0\0", b"\xff\xff", b"\x00\x80")


def _place(raw: bytearray, random: Random) -> int:
    reach = len(raw) if random.random() < 0.4 else min(len(raw), HEADER)
    return int(random.integers(0, max(reach, 1)))


def _flip(raw: bytearray, random: Random) -> None:
    for _ in range(int(random.integers(1, 6))):
        raw[_place(raw, random)] ^= int(random.integers(1, 256))


def _flip_data(raw: bytearray, random: Random) -> None:
    """One byte behind the header, which nothing but a checksum tells."""
    raw[int(random.integers(len(raw) // 2, len(raw)))] ^= int(random.integers(1, 256))


def _cut(raw: bytearray, random: Random) -> None:
    del raw[int(random.integers(0, len(raw))) :]


def _delete(raw: bytearray, random: Random) -> None:
    at = _place(raw, random)
    del raw[at : at + int(random.integers(1, 40))]


def _repeat(raw: bytearray, random: Random) -> None:
    at = _place(raw, random)
    raw[at:at] = raw[at : at + int(random.integers(1, 400))] * int(random.integers(1, 9))


def _zero(raw: bytearray, random: Random) -> None:
    at = _place(raw, random)
    raw[at : at + 64] = bytes(len(raw[at : at + 64]))


def _huge(raw: bytearray, random: Random) -> None:
    at, number = _place(raw, random), HUGE[int(random.integers(len(HUGE)))]
    raw[at : at + len(number)] = number


def _token(raw: bytearray, random: Random) -> None:
    """Another word in place of a word or number of a text."""
    words = list(re.finditer(rb"[\w.+-]+", raw[:HEADER]))
    if words:
        word = words[int(random.integers(len(words)))]
        raw[word.start() : word.end()] = TOKENS[int(random.integers(len(TOKENS)))]


def _line(raw: bytearray, random: Random) -> None:
    """A line of a text moved elsewhere, or made long."""
    lines = bytes(raw[:HEADER]).split(b"\n")
    line = lines.pop(int(random.integers(len(lines))))
    lines.insert(int(random.integers(len(lines) + 1)), line * int(random.integers(0, 50)))
    raw[:HEADER] = b"\n".join(lines)


MUTATIONS: tuple[Callable[[bytearray, Random], None], ...] = (
    _flip, _flip, _flip_data, _cut, _delete, _repeat, _zero, _huge, _huge, _token, _token, _line,
)  # fmt: skip
LOSES_ITS_END = "cut"


def mutate(content: bytes, number: int) -> tuple[bytes, str]:
    """Damage some bytes; return them and the kind of the damage."""
    random = np.random.default_rng(number)
    damage = MUTATIONS[int(random.integers(len(MUTATIONS)))]
    raw = bytearray(content)
    damage(raw, random)
    return bytes(raw), damage.__name__.removeprefix("_")
