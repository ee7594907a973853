"""Reads exactly as many bytes as a header promises, from plain and gzip files alike, and proves there are no others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.io.files.gzip_stream import DAMAGE, open_gzip
from medseg.io.files.limits import LARGEST_DEFLATE_RATIO

CHUNK = 1 << 22
TRUNCATED = "Copy or download the file again; compare its size with the original."


def is_gzip(path: Path) -> bool:
    """Whether the file starts with gzip's magic, whatever its name."""
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What the system says of a file that cannot be read becomes an `InputError`."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"it cannot be read ({error.strerror or error})",
            where=path,
            fix="Check that the file is there and readable.",
        ) from error


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file that may be gzipped; damage met while reading becomes an `InputError`."""
    with readable(path):
        try:
            with open_gzip(path) if is_gzip(path) else path.open("rb") as stream:
                yield stream
        except EOFError as error:
            what = "the file is truncated: its compressed data breaks off"
            raise InputError(what, where=path, fix=TRUNCATED) from error
        except DAMAGE as error:
            raise InputError(f"the compressed data is damaged ({error})", where=path, fix=TRUNCATED) from error


def check_plausible(path: Path, expected: int) -> None:
    """Refuse a file that cannot hold what its header promises, before any memory is spent."""
    size = path.stat().st_size
    if is_gzip(path):
        if expected > size * LARGEST_DEFLATE_RATIO + 1024:
            raise InputError(
                f"its header promises {expected:,} bytes, which {size:,} compressed bytes cannot hold",
                where=path,
                fix=TRUNCATED,
            )
    elif expected > size:
        raise InputError(
            f"it is truncated: {size:,} bytes where its header promises {expected:,}", where=path, fix=TRUNCATED
        )


def read_exactly(stream: IO[bytes], out: npt.NDArray[Any], path: Path) -> None:
    """Fill an array from the stream, then prove the file ends there and its checksum, if any, holds."""
    view = memoryview(out.reshape(-1, order="A").data).cast("B")
    filled = 0
    while filled < len(view):
        got = stream.readinto(view[filled : filled + CHUNK])  # type: ignore[attr-defined]
        if not got:
            raise InputError(
                f"it is truncated: {filled:,} bytes of voxels where its header promises {len(view):,}",
                where=path,
                fix=TRUNCATED,
            )
        filled += got
    # Reading on to the end is what makes gzip check its CRC.
    if stream.read(1):
        raise InputError(
            f"it holds more than the {len(view):,} bytes of voxels its header promises",
            where=path,
            fix="Write the file again with the tool that made it; header and data disagree.",
        )


def skip(stream: IO[bytes], count: int, path: Path) -> None:
    """Read past some bytes of a stream that may not seek."""
    left = count
    while left:
        got = len(stream.read(min(left, CHUNK)))
        if not got:
            raise InputError("it is truncated before the voxels start", where=path, fix=TRUNCATED)
        left -= got


def native(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the same numbers in this machine's byte order, swapped in place."""
    if array.dtype.isnative:
        return array
    return np.ndarray.byteswap(array, inplace=True).view(array.dtype.newbyteorder("="))
