"""What a model predicts of a scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.types.instances import Instances
from medseg.types.labels import LabelMap, ModelIdentity

__all__ = ["PostStep", "Prediction"]


@dataclass(frozen=True)
class PostStep:
    """One step of what is to be made of a model's labels.

    Parameters
    ----------
    stage : str
        Name of a stage of the post room.
    options : mapping
        Its options.
    """

    stage: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model says of a scan, on the scan's own grid.

    Parameters
    ----------
    labels : LabelMap
        The winning class of each voxel.
    model : ModelIdentity
        The model package that made it.
    scores : ndarray of float32, shape (classes, X, Y, Z), optional
        Only when asked for; background first.
    notes : tuple of str
        What the user should know of this prediction, for instance that the scan lies outside the training range.
    recipe : tuple of PostStep
        What the model's card says is to be made of the labels.
    instances : Instances, optional
        Objects, where the recipe made them.
    volume_range_ml : mapping of str to (float, float)
        Smallest and largest volume of each class in the data the model was trained on, where its card says.
    """

    labels: LabelMap
    model: ModelIdentity
    scores: npt.NDArray[np.float32] | None = None
    notes: tuple[str, ...] = ()
    recipe: tuple[PostStep, ...] = ()
    instances: Instances | None = None
    volume_range_ml: Mapping[str, tuple[float, float]] = field(default_factory=dict)
