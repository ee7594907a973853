"""Whether a DICOM file reaches its own end: readers take one that was cut for a smaller one."""

from __future__ import annotations

import zlib
from io import SEEK_END, BytesIO
from pathlib import Path
from struct import Struct
from typing import BinaryIO, NoReturn

from medseg.errors import ResourceLimit

LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
UNDEFINED = 0xFFFFFFFF
ITEM_END, SEQUENCE_END = 0xFFFEE00D, 0xFFFEE0DD
IMPLICIT, DEFLATED, BIG_ENDIAN = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2"
MOST_INFLATED = 2**31
MOST_ELEMENTS = 3_000_000  # ten seconds; a thousand frames that each have a header of their own have 100,000


class _Elements:
    """An open file of which so many elements have been passed."""

    def __init__(self, stream: BinaryIO) -> None:
        self.seek, self.read, self.tell = stream.seek, stream.read, stream.tell
        self.passed = 0

    def count(self) -> None:
        self.passed += 1
        if self.passed > MOST_ELEMENTS:
            raise ResourceLimit(
                f"it has more than {MOST_ELEMENTS:,} elements", fix="Check it in another program, and get it again."
            )


def is_whole(path: Path, syntax: str) -> bool:
    """Whether the elements of a file with preamble, in its transfer syntax, end where the file does.

    Zeros beyond are padding. Nothing is read but tags and lengths.

    Raises
    ------
    ResourceLimit
        When there are more than `MOST_ELEMENTS`.
    """
    with path.open("rb") as stream:
        return is_whole_stream(stream, syntax)


def is_whole_stream(stream: BinaryIO, syntax: str) -> bool:
    """Whether the elements of an open file with preamble end where it does; see `is_whole`."""
    try:
        _, start = after_meta(stream)
        if syntax == DEFLATED:
            stream.seek(start)
            return _is_whole_inflated(stream.read())
        _elements(_Elements(stream), start, stream.seek(0, SEEK_END), syntax != IMPLICIT, syntax == BIG_ENDIAN)
    except (EOFError, ValueError, RecursionError):
        return False
    return True


def _is_whole_inflated(content: bytes) -> bool:
    inflater = zlib.decompressobj(wbits=-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(content, MOST_INFLATED)
    except zlib.error:
        return False
    if inflater.eof:
        _elements(_Elements(BytesIO(inflated)), 0, len(inflated), explicit=True, big=False)
    return inflater.eof


def after_meta(stream: BinaryIO) -> tuple[str, int]:
    """Transfer syntax, and the place where the elements of group 2 end; these are explicit and little-endian always.

    Raises
    ------
    EOFError, ValueError
        When the file ends within them, or one is none.
    ResourceLimit
        When there are more than `MOST_ELEMENTS`.
    """
    place, size, syntax = 132, stream.seek(0, SEEK_END), ""
    elements = _Elements(stream)
    while True:
        stream.seek(place)
        group, element = (int.from_bytes(_read(elements, 2), "little") for _ in range(2))
        if group != 2:
            return syntax, place
        following = _element(elements, place, size, explicit=True, big=False)
        if element == 0x0010:
            stream.seek(place + 8)
            syntax = stream.read(min(following - place - 8, 64)).decode("ascii", "replace").strip(" \0")
        place = following


def _elements(stream: _Elements, place: int, size: int, explicit: bool, big: bool, depth: int = 0) -> int:
    """Go through elements or items to the end of the file, or of what they are nested in; return the place after."""
    number = Struct(">HH" if big else "<HH")
    while True:
        stream.seek(place)
        if not depth and (place == size or not any(stream.read(4096))):
            return size
        stream.seek(place)
        group, element = number.unpack(_read(stream, 4))
        if depth and (group << 16 | element) in (ITEM_END, SEQUENCE_END):
            return place + 8 if place + 8 <= size else _cut()
        place = _element(stream, place, size, explicit, big, depth)


def _element(stream: _Elements, place: int, size: int, explicit: bool, big: bool, depth: int = 0) -> int:
    """Return the place after one element or item."""
    order = ">" if big else "<"
    stream.count()
    stream.seek(place)
    group, _ = Struct(order + "HH").unpack(_read(stream, 4))
    kind = b""
    if explicit and group != 0xFFFE:
        kind = _read(stream, 2)
        if not kind.isalpha():
            raise ValueError
        if kind in LONG:
            _read(stream, 2)
        else:
            end: int = stream.tell() + 2 + Struct(order + "H").unpack(_read(stream, 2))[0]
            return end if end <= size else _cut()
    (length,) = Struct(order + "I").unpack(_read(stream, 4))
    if length == UNDEFINED:  # of an element of unknown kind, what is nested has no kinds either
        return _elements(stream, stream.tell(), size, explicit and kind != b"UN", big, depth + 1)
    end = stream.tell() + length
    return end if end <= size else _cut()


def _read(stream: _Elements, count: int) -> bytes:
    data = stream.read(count)
    return data if len(data) == count else _cut()


def _cut() -> NoReturn:
    raise EOFError
