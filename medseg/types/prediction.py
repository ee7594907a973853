"""What a model predicts of a scan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from medseg.types.expected_result import ExpectedResult
from medseg.types.extent import Extent
from medseg.types.how_computed import HowComputed
from medseg.types.instances import Instances
from medseg.types.labels import LabelMap, ModelIdentity
from medseg.types.overlapping import AnyLabels, OverlappingLabels
from medseg.types.volume_interval import IntervalRule


@dataclass(frozen=True)
class PostStep:
    """One step that turns a model's labels into its result: the name of a stage of `medseg.post`, and its options."""

    stage: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ClassUncertainty:
    """How uncertain the network is about a class."""

    boundary_entropy: float | None = None  # mean entropy of the probabilities along its boundary, 0 to 1
    ensemble_dice: float | None = None  # of an ensemble, mean Dice of each network's labels with those of their average


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a model predicts of a scan, on the scan's own grid.

    Parameters
    ----------
    labels : LabelMap
        The winning class of each voxel; of classes that overlap, one of those it has, for what shows one color a voxel.
    model : ModelIdentity
        The model package that made it.
    probabilities : ndarray of float32 or float16, shape (classes, X, Y, Z), optional
        Every class's probability, background first, or every region's; only when requested.
    notes : tuple of str
        Good to know, and no reason to question the result.
    recipe : tuple of PostStep
        What the model's card says is to be made of the labels.
    instances : Instances, optional
        Objects, where the recipe made them.
    volume_range_ml : mapping of str to (float, float)
        Smallest and largest volume of each class in the data the model was trained on, where its card says.
    entropy : ndarray of float32 or float16, shape (X, Y, Z), optional
        How uncertain each voxel is, 0 to 1; only when requested.
    uncertainty : mapping of int to ClassUncertainty
        By label value.
    warnings : tuple of str
        What may be wrong with the result, for instance that the scan lies outside the training range.
    out_of_distribution : tuple of str
        Those of the notes that say how the scan differs from what the model was trained on.
    boundary_limit : mapping of str to float
        Mean entropy along the border of each class that ordinary cases do not exceed, where its card says.
    computed : HowComputed, optional
        By what, and in how many windows.
    extent : {"volume_ml", "area_mm2", "area_px"}
        What is measured of a class: an area in a 2D image, in pixels where their size is not known.
    expected : ExpectedResult, optional
        What results of suitable scans look like; set by `medseg.infer.gate`.
    overlapping : OverlappingLabels, optional
        Of a model whose classes may share voxels, all classes of each voxel.
    interval_rule : IntervalRule, optional
        How the intervals of its volumes are made, where its card says.
    """

    labels: LabelMap
    model: ModelIdentity
    probabilities: npt.NDArray[np.floating[Any]] | None = None
    notes: tuple[str, ...] = ()
    recipe: tuple[PostStep, ...] = ()
    instances: Instances | None = None
    volume_range_ml: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    entropy: npt.NDArray[np.floating[Any]] | None = None
    uncertainty: Mapping[int, ClassUncertainty] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    out_of_distribution: tuple[str, ...] = ()
    boundary_limit: Mapping[str, float] = field(default_factory=dict)
    computed: HowComputed | None = None
    extent: Extent = "volume_ml"
    expected: ExpectedResult | None = None
    overlapping: OverlappingLabels | None = None
    interval_rule: IntervalRule | None = None

    @property
    def every_class(self) -> AnyLabels:
        """What is measured and written: each class whole, also where several share a voxel."""
        return self.labels if self.overlapping is None else self.overlapping

    def with_every_class(self, labels: AnyLabels) -> Prediction:
        """Return the prediction with other labels of the same kind."""
        if isinstance(labels, OverlappingLabels):
            return replace(self, labels=labels.folded(), overlapping=labels)
        return replace(self, labels=labels)

    def __repr__(self) -> str:
        extra = ", ".join(
            [f"model='{self.model.name} {self.model.version}'"]
            + (["with probabilities"] if self.probabilities is not None else [])
            + [f"warnings={len(self.warnings)}", f"notes={len(self.notes)}"]
        )
        return f"Prediction({self.labels.geometry.summary}, {extra})"
