"""Whether an answer to clicks may be drawn: it does not fill what it looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from medseg.infer.clicks.interaction import Interaction
from medseg.infer.clicks.session import Answer, as_marked

Mask = npt.NDArray[np.bool_]

MOST_ADDED = 0.5  # of the box looked at; no reader can have meant an answer that adds more to the class


def fault(before: Mask, answer: Answer) -> str | None:
    """Say what is wrong with an answer, as what follows "The model"; None where it may be drawn.

    - `before`: the class in the answer's box, as it was.
    """
    if np.count_nonzero(answer.is_class & ~before) > MOST_ADDED * before.size:
        return "filled more than half of what it looked at"
    return None


def obeyed(before: Mask, answer: Answer, interactions: Sequence[Interaction]) -> Answer:
    """Return an answer that changes what is marked, with the voxels that touch it, and nothing else."""
    after = before
    for one in interactions:
        after = as_marked(after, one, answer.box.start)
    return Answer(answer.box, after, answer.zoom)
