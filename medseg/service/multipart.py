"""The parts of a multipart answer, each as it comes; one that ends before its last boundary is not taken for whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from email.message import Message
from pathlib import Path
from typing import BinaryIO

from medseg.counted import counted
from medseg.service.archive import ArchiveError, ArchiveRefusal
from medseg.service.arriving import check_space, nameless_file
from medseg.service.bounds import LARGEST_BETWEEN

AGAIN = "Run the same command again."


def parts(chunks: Iterable[bytes], content_type: str, where: str, folder: Path) -> Iterator[BinaryIO]:
    """Yield the content of each part of an answer, or the answer itself where its type is no multipart.

    Each is closed when the next one is asked for; a large one lies in a folder meanwhile, see `nameless_file`.

    Raises
    ------
    ArchiveError
        When it ends before the boundary that closes it.
    ArchiveRefusal
        When there is more than `LARGEST_BETWEEN` before, between or after the parts.
    ValueError
        When it is of another type.
    """
    message = Message()
    message["Content-Type"] = content_type
    boundary = message.get_boundary()
    if message.get_content_type() == "application/dicom":
        with closing(nameless_file(folder)) as file:
            for chunk in chunks:
                check_space(folder, len(chunk))
                file.write(chunk)
            file.seek(0)
            yield file
        return
    if message.get_content_type() != "multipart/related" or not boundary:
        raise ValueError("no multipart")
    yield from _Reader(chunks, b"\r\n--" + boundary.encode(), where, folder).parts()


class _Reader:
    """Reads up to marks; what is before the first boundary begins with the line break that a boundary has."""

    def __init__(self, chunks: Iterable[bytes], delimiter: bytes, where: str, folder: Path) -> None:
        self.chunks, self.delimiter, self.where, self.folder = iter(chunks), delimiter, where, folder
        self.data, self.n_parts = bytearray(b"\r\n"), 0

    def parts(self) -> Iterator[BinaryIO]:
        self._skip_to(self.delimiter)
        while self._next(2) != b"--":
            self._skip_to(b"\r\n\r\n")
            with closing(nameless_file(self.folder)) as content:
                self._copy_to_delimiter(content)
                self.n_parts += 1
                yield content
        after = len(self.data)
        for chunk in self.chunks:
            after += len(chunk)
            self._check(after, LARGEST_BETWEEN)

    def _next(self, count: int) -> bytes:
        while len(self.data) < count:
            self._more()
        return bytes(self.data[:count])

    def _skip_to(self, mark: bytes) -> None:
        """Take away what is before a mark, and the mark."""
        since = 0
        while (found := self.data.find(mark, since)) < 0:
            self._check(len(self.data), LARGEST_BETWEEN)
            since = max(0, len(self.data) - len(mark) + 1)
            self._more()
        del self.data[: found + len(mark)]

    def _copy_to_delimiter(self, content: BinaryIO) -> None:
        """Move what is before a boundary into a file, and take the boundary away."""
        while (found := self.data.find(self.delimiter)) < 0:
            sure = max(0, len(self.data) - len(self.delimiter) + 1)  # the rest may be how a boundary begins
            check_space(self.folder, sure)
            content.write(self.data[:sure])
            del self.data[:sure]
            self._more()
        content.write(self.data[:found])
        content.seek(0)
        del self.data[: found + len(self.delimiter)]

    def _more(self) -> None:
        chunk = next(self.chunks, None)
        if chunk is None:
            raise ArchiveError(
                f"the archive's answer ended after {counted(self.n_parts, 'object')}, before its own end",
                where=self.where,
                fix=AGAIN,
            )
        self.data += chunk

    def _check(self, size: int, most: int) -> None:
        if size > most:
            raise ArchiveRefusal(
                f"the archive sent more than {most >> 10} KiB between two objects",
                where=self.where,
                fix="Ask its administrator.",
            )
