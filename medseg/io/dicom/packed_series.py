"""Frames of many series, packed while other files are looked at: the headers of 100,000 are a gigabyte as they are."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Iterator, Sequence

from medseg.io.dicom.frame import Frame

# Frames that may lie about unpacked: some 200 MB. Smaller searches, nearly all, pack nothing.
MOST_LOOSE = 20_000


class PackedSeries:
    """Frames by series UID; those of series that were not added to lately are packed where there are many.

    Headers of one series hardly differ: packed together, a frame takes a hundredth of its memory, and a quarter of the
    time that reading its header took.
    """

    def __init__(self, most_loose: int = MOST_LOOSE) -> None:
        self._most_loose = most_loose
        self._loose: dict[str, list[Frame]] = {}
        self._packed: dict[str, list[bytes]] = {}
        self._n_loose = 0

    def add(self, uid: str, frames: Sequence[Frame]) -> None:
        """Add frames of a series."""
        self._loose.setdefault(uid, []).extend(frames)
        self._n_loose += len(frames)
        if self._n_loose > self._most_loose:
            self._pack(but=uid)

    def _pack(self, but: str) -> None:
        """Pack every series of several frames, but for the one that is being added to."""
        for uid in [uid for uid, frames in self._loose.items() if uid != but and len(frames) > 1]:
            frames = self._loose.pop(uid)
            self._packed.setdefault(uid, []).append(zlib.compress(pickle.dumps(frames), 1))
        self._n_loose = sum(map(len, self._loose.values()))
        # What cannot be packed must not be looked through again for each frame.
        self._most_loose = max(self._most_loose, 2 * self._n_loose)

    def alone(self) -> dict[str, list[Frame]]:
        """Return the series of one frame, which may be parts of others."""
        return {uid: frames for uid, frames in self._loose.items() if len(frames) == 1 and uid not in self._packed}

    def several(self) -> Iterator[tuple[str, list[Frame]]]:
        """Yield each series of several frames, one after another and out of the store."""
        for uid in [uid for uid, frames in self._loose.items() if len(frames) > 1 or uid in self._packed]:
            yield uid, [*self._unpacked(uid), *self._loose.pop(uid)]
        for uid in list(self._packed):
            yield uid, self._unpacked(uid)

    def _unpacked(self, uid: str) -> list[Frame]:
        packs = self._packed.pop(uid, [])
        return [frame for pack in packs for frame in pickle.loads(zlib.decompress(pack))]  # noqa: S301 - our own, of memory
