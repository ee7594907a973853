"""Arrays too large for memory, in unnamed files that vanish with the process."""

from __future__ import annotations

import mmap
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


class Scratch:
    """Gives arrays of zeros: in unnamed files of a folder, or in memory where no folder is given.

    A file there has no name, so that nothing is left whatever the process dies of.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder

    def zeros(self, shape: tuple[int, ...]) -> npt.NDArray[np.floating[Any]]:
        """Array of zeros, C-contiguous: float16 in a file, float32 in memory."""
        if self.folder is None:
            return np.zeros(shape, dtype=np.float32)
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=self.folder, prefix=".medseg-part-") as file:
            # The mapping keeps the file when it is closed.
            return np.memmap(file, dtype=np.float16, mode="w+", shape=shape)


def release(array: npt.NDArray[Any]) -> None:
    """Give back the memory of an array that lies in a file, or of what it is a view of; its values stay."""
    base: Any = array
    while base is not None and not isinstance(base, mmap.mmap):
        base = getattr(base, "base", None)
    if base is not None and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)
