"""Chooses which cases to label next: those that a model is uncertain of, and that differ from one another.

Source: Sener and Savarese, Active Learning for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018, for the
farthest first; compared with random choice in docs/benchmarks/label-next.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

POOL = 3  # so many times the cases asked for are taken as uncertain, and of those the ones that differ most
Probabilities = npt.NDArray[np.floating[Any]]
Matrix = npt.NDArray[np.float64]


def expected_dice(found: Probabilities, *, regions: bool = False) -> float:
    """Dice that a prediction would have were its probabilities right, over all classes but the background.

    - `found`, shape (K, X, Y, Z): the background first; of `regions`, which may overlap, one probability for each.
    """
    inside = found.max(0).astype(np.float64) if regions else 1 - found[0].astype(np.float64)
    mask = inside > 0.5 if regions else found.argmax(0) > 0
    size = inside.sum() + mask.sum()
    return float(2 * inside[mask].sum() / size) if size else 1.0


def look(image: npt.NDArray[Any], found: Probabilities, *, regions: bool = False) -> list[float]:
    """Return what a case looks like: gray values, contrast between neighbors, and how much of it the classes take.

    - `image`, shape (C, X, Y, Z); `found` as for `expected_dice`.
    """
    gray = image.reshape(len(image), -1).astype(np.float64)
    spread = np.diff(image.astype(np.float64), axis=1)
    contrast = np.abs(spread).mean() if spread.size else 0.0
    parts = [*np.quantile(gray, (0.05, 0.25, 0.5, 0.75, 0.95), axis=1).ravel(), contrast]
    return [*map(float, parts), *_fractions(found, regions=regions), float(np.log(gray.shape[1]))]


def _fractions(found: Probabilities, *, regions: bool) -> Iterator[float]:
    """Fraction of the voxels that each class takes."""
    if regions:
        yield from (float((present > 0.5).mean()) for present in found)
        return
    winner = found.argmax(0)
    yield from (float((winner == channel).mean()) for channel in range(1, len(found)))


def standardized(looks: Sequence[Sequence[float]]) -> Matrix:
    """Return the looks of all cases, (cases, features), each feature with mean 0 and standard deviation 1."""
    described = np.array(looks, dtype=np.float64)
    result: Matrix = (described - described.mean(0)) / (described.std(0) + 1e-6)
    return result


def most_uncertain(dice: Sequence[float], known: int) -> list[int]:
    """Return the numbers of all cases but the first `known` ones, those of the lowest expected Dice first."""
    uncertain = 1 - np.array(dice, dtype=np.float64)[known:]
    return [int(k) + known for k in np.argsort(-uncertain, kind="stable")]


def farthest(described: Matrix, known: Sequence[int], candidates: Sequence[int], count: int) -> list[int]:
    """Return the candidates that lie farthest from all known and taken ones, one by one.

    Of equally far ones the first is taken; where nothing is known, the first of all.
    """
    places = described[list(candidates)]
    near = np.full(len(places), np.inf)
    for row in known:
        near = np.minimum(near, np.linalg.norm(places - described[row], axis=1))
    taken = []
    for _ in range(min(count, len(places))):
        best = int(np.argmax(near))
        taken.append(int(candidates[best]))
        near = np.minimum(near, np.linalg.norm(places - places[best], axis=1))
        near[best] = -np.inf
    return taken


def choose_next(dice: Sequence[float], looks: Sequence[Sequence[float]], known: int, count: int) -> list[int]:
    """Return the numbers of the cases to label next: of the most uncertain ones, those that differ most.

    - `dice`, `looks`: expected Dice and looks of all cases, the first `known` of which are labeled.
    """
    candidates = most_uncertain(dice, known)[: POOL * count]
    return farthest(standardized(looks), range(known), candidates, count)
