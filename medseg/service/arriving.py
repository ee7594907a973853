"""Objects on their way in: held in memory while they are small, else in a file without a name that nothing outlives."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import closing
from io import SEEK_END, BytesIO
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from medseg.service import bounds
from medseg.service.archive import ArchiveError, ArchiveRefusal

if TYPE_CHECKING:
    from pynetdicom import evt

CHUNK = 1 << 16


def nameless_file(folder: Path) -> BinaryIO:
    """Return a file to write and read; it lies in memory, and once it is large in a folder, whose name it never has."""
    return cast(BinaryIO, SpooledTemporaryFile(bounds.LARGEST_IN_MEMORY, "w+b", dir=str(folder)))


def check_space(folder: Path, more: int) -> None:
    """Raise `ArchiveRefusal` where the disk of a temporary folder would be too full with so many bytes more."""
    if shutil.disk_usage(folder).free - more < bounds.SPARE_DISK:
        raise ArchiveRefusal(
            f"less than {bounds.SPARE_DISK >> 30} GiB of the disk would stay free",
            where=folder.parent,
            fix="Make space there.",
        )


def size_of(stream: IO[bytes]) -> int:
    """Return how many bytes a stream has; it is at its beginning afterwards."""
    size = stream.seek(0, SEEK_END)
    stream.seek(0)
    return size


def digest_of(stream: IO[bytes]) -> bytes:
    """Return the SHA-256 of all of a stream."""
    stream.seek(0)
    digest = hashlib.sha256()
    while piece := stream.read(CHUNK):
        digest.update(piece)
    return digest.digest()


class ArrivedData(BytesIO):
    """Data of an object as pynetdicom holds them, and what came after their beginning, which it has not been shown."""

    def __init__(self, beginning: bytes, rest: BinaryIO | None, failure: ArchiveError | OSError | None) -> None:
        super().__init__(beginning)
        self.rest, self.failure = rest, failure  # why not all of it is there


def data_of(event: evt.Event) -> Iterator[bytes]:
    """Yield the data of the object that a C-STORE request brings, in pieces.

    Raises
    ------
    ArchiveError, OSError
        When the disk has no space for them.
    """
    data = event.request.DataSet
    yield data.getvalue()
    if isinstance(data, ArrivedData):
        if data.failure is not None:
            raise data.failure
        if data.rest is not None:
            data.rest.seek(0)
            while piece := data.rest.read(CHUNK):
                yield piece


def file_of_object(event: evt.Event, folder: Path) -> BinaryIO:
    """Return the whole file of the object that a C-STORE request brings, as it is to be kept; see `data_of`."""
    file = nameless_file(folder)
    try:
        whole = event.encoded_dataset()
        file.write(whole[: len(whole) - len(event.request.DataSet.getvalue())])
        for piece in data_of(event):
            file.write(piece)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


def copy_to(path: Path, content: BinaryIO) -> None:
    """Write a file that has arrived to its place, and let go of it."""
    with closing(content), path.open("wb") as stream:
        content.seek(0)
        shutil.copyfileobj(content, stream, CHUNK)
