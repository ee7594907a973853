"""DICOM read within bounds: pydicom inflates all of a deflated object, however large, to read any of it."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any, BinaryIO

import pydicom
from pydicom.dataset import FileDataset

from medseg.errors import ResourceLimit
from medseg.io.dicom.whole import DEFLATED, after_meta
from medseg.io.files.byte_stream import CHUNK
from medseg.io.files.limits import largest_scan

# Images shrink to a third, masks and empty slices to a hundredth; a small file that grows beyond both is a bomb.
MOST_INFLATED, SMALLEST_BOUND = 128, 256 << 20


def read_dicom(file: Path | str | BinaryIO, **options: Any) -> FileDataset:
    """Read a DICOM file as `pydicom.dcmread` does, unless it would inflate to more than this machine may spend on it.

    Raises
    ------
    ResourceLimit
        When it would.
    """
    if isinstance(file, Path | str):
        with Path(file).open("rb") as stream:
            check_inflated(stream, where=file)
    else:
        check_inflated(file)
        file.seek(0)
    return pydicom.dcmread(file, **options)


def check_inflated(stream: BinaryIO, most: int | None = None, where: object = None) -> bool:
    """Return whether a file is deflated; raise where it inflates to more than a number of bytes.

    Without a number, it is `MOST_INFLATED` times the file's size, but no less than `SMALLEST_BOUND`, and no more than a
    quarter of what the machine may spend on a scan.
    """
    stream.seek(0)
    if DEFLATED.encode() not in stream.read(1024):
        return False
    try:
        syntax, start = after_meta(stream)
    except (EOFError, ValueError, RecursionError):  # pydicom says what is wrong with it
        return False
    if syntax != DEFLATED:
        return False
    if most is None:
        most = min(largest_scan() // 4, max(SMALLEST_BOUND, MOST_INFLATED * stream.seek(0, os.SEEK_END)))
    stream.seek(start)
    unpack, total = zlib.decompressobj(-zlib.MAX_WBITS), 0
    piece = stream.read(CHUNK)
    while piece and not unpack.eof:
        try:
            total += len(unpack.decompress(piece, CHUNK))
        except zlib.error:
            break
        if total > most:
            raise ResourceLimit(
                f"it inflates to more than {_size(most)}",
                where=where,
                fix="Get it again in another transfer syntax.",
            )
        piece = unpack.unconsumed_tail or stream.read(CHUNK)
    return True


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 1 << 30 else f"{count >> 20} MiB"
