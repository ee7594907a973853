"""The body of a STOW-RS request, read from its files while it is sent."""

from __future__ import annotations

import secrets
import time
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

from medseg.service.archive import ArchiveError

CHUNK = 1 << 14  # bytes; each must go out before `TIMEOUT` of `medseg.service.web_session` is over


class Upload:
    """Files as the parts of a multipart body; knows how much of it has been taken, and when the last of it was."""

    def __init__(self, files: Sequence[Path]) -> None:
        boundary = secrets.token_hex(16)
        self.kind = f'multipart/related; type="application/dicom"; boundary="{boundary}"'
        self._head = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n".encode()
        self._tail = f"--{boundary}--\r\n".encode()
        self._files = [(file, file.stat().st_size) for file in files]
        self._pieces = self._content()
        self.taken = 0
        self.ended: float | None = None  # by `time.monotonic`

    def __len__(self) -> int:
        return sum(len(self._head) + size + 2 for _, size in self._files) + len(self._tail)

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(CHUNK), b"")

    def read(self, _size: int = -1) -> bytes:
        """Return the next piece, of a size of our own; nothing at the end, once the last one is sent."""
        piece = next(self._pieces, b"")
        self.taken += len(piece)
        if not piece:
            self.ended = time.monotonic()
        return piece

    def _content(self) -> Generator[bytes, None, None]:
        for file, size in self._files:
            yield self._head
            with file.open("rb") as stream:
                while size and (piece := stream.read(min(CHUNK, size))):
                    size -= len(piece)
                    yield piece
            if size:
                raise ArchiveError("a file changed while it was sent", where=file, fix="Send it again.")
            yield b"\r\n"
        yield self._tail

    def close(self) -> None:
        """Let go of the file that was being read."""
        self._pieces.close()
