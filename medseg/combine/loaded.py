"""Networks of a composite that stay loaded from scan to scan, as many as memory allows."""

from __future__ import annotations

from collections.abc import Callable

from medseg.infer.memory import available_bytes
from medseg.infer.predictor import Predictor
from medseg.models.package import ModelPackage

# A network in memory takes about this many times its file: the weights, and an engine's own form of them.
TIMES_ITS_FILE = 3
# Of the free memory, networks that only wait take no more than this: the scan needs the rest.
MOST = 1 / 8


class LoadedParts:
    """The predictors of parts, opened when first asked for.

    Where one more would be too many, the one that ran last goes: parts run in turns, so of all it is wanted last.
    """

    def __init__(self, make: Callable[[ModelPackage], Predictor], *, limit: float | None = None) -> None:
        self._make, self._limit = make, limit
        self._kept: dict[str, tuple[Predictor, int]] = {}
        self._last: str | None = None

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, name: str, package: ModelPackage) -> Predictor:
        """Return the predictor of a part; on the CPU, others stay loaded beside it while memory allows."""
        if name not in self._kept:
            size = package.weights_path.stat().st_size * TIMES_ITS_FILE
            self._free(size)
            self._kept[name] = (self._make(package), size)
        self._last = name
        return self._kept[name][0]

    def _free(self, size: int) -> None:
        waiting = sum(other for _, other in self._kept.values())
        free = available_bytes() + waiting  # what is kept already would be
        most = MOST * (free if self._limit is None else min(free, self._limit))
        while self._kept and waiting + size > most:
            gone = self._last if self._last in self._kept else next(reversed(self._kept))
            waiting -= self._kept.pop(gone)[1]
