"""Whether an image shows anything: noise, smoothed or laid on a gradient, has no objects with edges or colors."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

SIDE = 256  # pixels of a tile, about; what shows something in one of them does
TILES = 64
SMALLEST = 48 * 48  # pixels, below which chance alone gives correlations
DEGREE = 3  # of the brightness that varies over a tile: no structure
APART = 4  # pixels; noise smoothed with a sigma of 1.2 has less than NOISE in common over so many
# Of 200 images of nuclei, at half their size too, the least is 0.108; of 236 volumes and 24 images of membranes 0.2.
NOISE = 0.1
SMOOTH = 0.8  # correlation of neighbors; images with noise of their own have less, and may hide their edges in it

Tile = npt.NDArray[np.float64]


def is_noise(array: npt.NDArray[Any]) -> bool:
    """Whether pixels a few apart have nothing in common anywhere in a channel, shape (X, Y, Z)."""
    found = False
    for tile in _tiles(array):
        flat = _standardized(tile)
        if flat is None or _correlation(flat, APART) >= NOISE:
            return False
        clipped = _standardized(np.clip(tile, *np.percentile(tile, (2, 98))))
        if clipped is not None and _correlation(clipped, APART) >= NOISE:
            return False  # single pixels far brighter than all others hide what is there
        found = True
    return found


def edges(array: npt.NDArray[Any]) -> float:
    """How heavy the tails of differences of pixels 2 or 4 apart are: 0 of smooth noise, more where objects have edges.

    The most of any tile; infinite where a tile is too noisy for its edges to show, or constant.
    """
    most = -np.inf
    for tile in _tiles(array):
        flat = _standardized(tile)
        if flat is None or _correlation(flat, 1) < SMOOTH:
            return np.inf
        most = max(most, min(_tails(flat, step) for step in (2, 4)))
    return most if most > -np.inf else np.inf


def agreement(channels: npt.NDArray[Any]) -> float:
    """Largest correlation, of either sign, of two of the channels in any tile; 1 where no two of them vary."""
    most = -np.inf
    for tiles in zip(*(_tiles(channel) for channel in channels), strict=True):
        varying = [flat for flat in map(_standardized, tiles) if flat is not None]
        pairs = [(a, b) for k, a in enumerate(varying) for b in varying[:k]]
        most = max([most, *(abs(float(np.mean(a * b))) for a, b in pairs)])
    return most if most > -np.inf else 1.0


def _tiles(array: npt.NDArray[Any]) -> Iterator[Tile]:
    """Parts of planes from everywhere, large enough to say something, as floats."""
    axis = int(np.argmin(array.shape))
    planes = np.moveaxis(array, axis, 0)
    x_ends, y_ends = (np.linspace(0, n, max(1, round(n / SIDE)) + 1).astype(int) for n in planes.shape[1:])
    parts = [(k, slice(*x), slice(*y)) for k in range(len(planes)) for x in pairwise(x_ends) for y in pairwise(y_ends)]
    step = -(-len(parts) // TILES)
    for place in parts[step // 2 :: step]:
        tile = planes[place]
        if tile.size >= SMALLEST:
            yield tile.astype(np.float64)


def _standardized(tile: Tile) -> Tile | None:
    """A tile without the brightness that varies over it, of mean 0 and deviation 1; None of a constant one."""
    rows, columns = (np.linalg.qr(np.vander(np.linspace(-1, 1, n), DEGREE + 1))[0] for n in tile.shape)
    flat = tile - rows @ (rows.T @ tile @ columns) @ columns.T
    deviation = float(flat.std())
    return flat / deviation if deviation > 1e-6 * max(1.0, float(np.abs(tile).max())) else None


def _correlation(flat: Tile, step: int) -> float:
    return max(float(np.mean(flat[step:] * flat[:-step])), float(np.mean(flat[:, step:] * flat[:, :-step])))


def _tails(flat: Tile, step: int) -> float:
    """Excess kurtosis of differences, along the axis that has less of it."""
    return min(_kurtosis(flat[step:] - flat[:-step]), _kurtosis(flat[:, step:] - flat[:, :-step]))


def _kurtosis(values: Tile) -> float:
    squares = (values - values.mean()) ** 2
    spread = float(squares.mean())
    return float((squares**2).mean()) / spread**2 - 3 if spread > 0 else 0.0
