"""Whether an answer to clicks may be drawn: it keeps to the marks, and does not fill what it looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.session import Answer

Mask = npt.NDArray[np.bool_]

# Fractions beyond which no reader can have meant an answer: of the box looked at that is added to the class, and of a
# scribble's voxels that it contradicts. Of a click, its one voxel counts.
MOST_ADDED, MOST_CONTRADICTED = 0.5, 0.5


def fault(before: Mask, answer: Answer, interactions: Sequence[Interaction]) -> str | None:
    """Say what is wrong with an answer, as what follows "The model"; None where it may be drawn.

    - `before`: the class in the answer's box, as it was.
    - `interactions`: the oldest first; where two marks contradict each other, the newer counts.
    """
    if np.count_nonzero(answer.is_class & ~before) > MOST_ADDED * before.size:
        return "filled more than half of what it looked at"
    is_open = np.ones(answer.is_class.shape, bool)  # not marked anew by what came after
    for one in reversed(interactions):
        place = tuple(_inside(one, answer).T)
        judged = is_open[place]
        wrong = (answer.is_class[place] == one.is_outside) & judged
        if wrong.sum() > MOST_CONTRADICTED * judged.sum():
            return "kept what you marked as outside" if one.is_outside else "missed what you marked as inside"
        is_open[place] = False
    return None


def obeyed(before: Mask, answer: Answer, interactions: Sequence[Interaction]) -> Answer:
    """Return an answer that changes what is marked, with the voxels that touch it, and nothing else."""
    after = before.copy()
    around = np.indices((3, 3, 3)).reshape(3, -1).T - 1
    for one in interactions:
        near = (_inside(one, answer)[:, None] + around).reshape(-1, 3)
        after[tuple(near[((near >= 0) & (near < before.shape)).all(axis=1)].T)] = not one.is_outside
    return Answer(answer.box, after, answer.zoom)


def _inside(one: Interaction, answer: Answer) -> npt.NDArray[np.int64]:
    """Voxels of an interaction in the box of an answer, counted from its corner."""
    voxels = one.voxels - np.array(answer.box.start)
    inside: npt.NDArray[np.int64] = voxels[((voxels >= 0) & (voxels < answer.is_class.shape)).all(axis=1)]
    return inside
