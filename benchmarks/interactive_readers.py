"""Simulated readers who correct a mask by clicks, by marks for the random walker, or with the pen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from medseg.errors import InputError
from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.session import ClickSession, Present
from medseg.infer.clicks.simulate import next_click
from medseg.review.walker_answer import walker_answer
from medseg.types import Scan

Mask = npt.NDArray[np.bool_]
PEN_RADIUS = 4.0  # voxels that one stroke of the pen puts right around the middle of an error, in one slice


@dataclass
class Reader:
    """A mask that is corrected, one interaction after the other.

    - `correct`: takes the newest click and all so far, and returns the mask after it.
    """

    start: Mask
    truth: Mask
    correct: Callable[[Mask, list[Interaction]], Mask]
    interactions: list[Interaction] = field(default_factory=list)

    def dice(self, numbers: tuple[int, ...]) -> dict[int, float]:
        """Dice after so many interactions, each in the middle of the largest error left."""
        present, found = self.start, {0: dice(self.start, self.truth)}
        for number in range(1, max(numbers) + 1):
            click = next_click(present, self.truth)
            if click is not None:
                self.interactions.append(click)
                present = self.correct(present, self.interactions)
            found[number] = dice(present, self.truth)
        return {number: found[number] for number in numbers}


def by_model(session: ClickSession) -> Callable[[Mask, list[Interaction]], Mask]:
    """Each click is answered by the model, on what the one before left."""

    def correct(present: Mask, interactions: list[Interaction]) -> Mask:
        answer = session.answer(Present((0, 0, 0), present), interactions)
        result = present.copy()
        result[answer.box.slices] = answer.is_class
        return result

    return correct


def by_walker(scan: Scan, probability: npt.NDArray[np.float32]) -> Callable[[Mask, list[Interaction]], Mask]:
    """Each click is answered by the random walker, on what the one before left, as the review does it."""
    in_255ths = np.rint(255 * probability).astype(np.uint8)

    def correct(present: Mask, interactions: list[Interaction]) -> Mask:
        drawn = Present((0, 0, 0), present)
        try:
            box, is_class = walker_answer(scan.array[0], drawn, interactions, scan.geometry.spacing, in_255ths)
        except InputError:
            return present  # which the page says; nothing changes
        result = present.copy()
        result[box.slices] = is_class
        return result

    return correct


def by_pen(truth: Mask) -> Callable[[Mask, list[Interaction]], Mask]:
    """Each click's place is put right by one perfect stroke in the slice with most of the error."""

    def correct(present: Mask, interactions: list[Interaction]) -> Mask:
        center = interactions[-1].center
        grid = np.ogrid[tuple(slice(n) for n in truth.shape)]
        away = np.sqrt(sum((axis - c) ** 2 for axis, c in zip(grid, center, strict=True)))
        near = (away <= PEN_RADIUS) & (present != truth)
        slices = [np.take(near, c, axis).sum() for axis, c in enumerate(center)]
        axis = int(np.argmax(slices))
        in_slice = np.arange(truth.shape[axis]) == center[axis]
        stroke = near & in_slice.reshape([-1 if k == axis else 1 for k in range(3)])
        return np.where(stroke, truth, present)

    return correct


def dice(a: Mask, b: Mask) -> float:
    size = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / size if size else 1.0
