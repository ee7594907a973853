"""The parts of a multipart answer, each as it comes; one that ends before its last boundary is not taken for whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from email.message import Message

from medseg.counted import counted
from medseg.service.archive import ArchiveError, ArchiveRefusal
from medseg.service.bounds import LARGEST_BETWEEN

AGAIN = "Run the same command again."


def parts(chunks: Iterable[bytes], content_type: str, where: str) -> Iterator[bytes]:
    """Yield the content of each part of an answer, or the answer itself where its type is no multipart.

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
        yield b"".join(chunks)
        return
    if message.get_content_type() != "multipart/related" or not boundary:
        raise ValueError("no multipart")
    yield from _Reader(chunks, b"\r\n--" + boundary.encode(), where).parts()


class _Reader:
    """Reads up to marks; what is before the first boundary begins with the line break that a boundary has."""

    def __init__(self, chunks: Iterable[bytes], delimiter: bytes, where: str) -> None:
        self.chunks, self.delimiter, self.where = iter(chunks), delimiter, where
        self.data, self.n_parts = bytearray(b"\r\n"), 0

    def parts(self) -> Iterator[bytes]:
        self._up_to(self.delimiter, LARGEST_BETWEEN)
        while self._next(2) != b"--":
            self._up_to(b"\r\n\r\n", LARGEST_BETWEEN)
            content = self._up_to(self.delimiter)
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

    def _up_to(self, mark: bytes, most: int | None = None) -> bytes:
        """Take what is before a mark, and the mark away."""
        since = 0
        while (found := self.data.find(mark, since)) < 0:
            if most is not None:
                self._check(len(self.data), most)
            since = max(0, len(self.data) - len(mark) + 1)
            self._more()
        content = bytes(memoryview(self.data)[:found])
        del self.data[: found + len(mark)]
        return content

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
