"""Stages that make objects of labels, clean them up and measure them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field

from medseg.engine.stages.options import StageOptions
from medseg.errors import FormatLimitation
from medseg.post.cleanup import Rule, clean_up
from medseg.post.components import class_values, components
from medseg.post.connectivity import Connectivity
from medseg.post.from_border import objects_from_border
from medseg.post.measure import channel_of_class, measure, score
from medseg.post.panoptic import panoptic
from medseg.post.watershed import watershed
from medseg.types import Instances, LabelMap, Prediction
from medseg.types.instances import ObjectsOfCase
from medseg.types.labels import BORDER
from medseg.types.stage import RunContext, Where


def _labels(item: LabelMap | Prediction) -> LabelMap:
    """Labels that objects can be made of."""
    if not isinstance(item, Prediction):
        return item
    if item.overlapping is not None:
        raise FormatLimitation(
            "objects are made of one class for each voxel, and the model's classes may overlap",
            where=item.model,
            fix="Omit the step that makes objects.",
        )
    return item.labels


def _values(classes: tuple[str, ...] | None, labels: LabelMap) -> tuple[int, ...] | None:
    return None if classes is None else tuple(class_values(classes, labels.table))


def _scored(found: Instances, item: LabelMap | Prediction) -> Instances:
    """With probabilities, give each object the mean probability of its class."""
    if not isinstance(item, Prediction) or item.probabilities is None:
        return found
    return score(found, item.probabilities)


@dataclass(frozen=True)
class CleanUp:
    """Cleans the labels of a prediction; probabilities stay as the network gave them."""

    class Options(StageOptions):
        """What to do, in order."""

        rules: tuple[Rule, ...] = ()

    options: Options
    runs: ClassVar[Where] = "aside"

    def run(self, item: Prediction, context: RunContext) -> Prediction:
        """Apply every rule."""
        return item.with_every_class(clean_up(item.every_class, self.options.rules))


@dataclass(frozen=True)
class Components:
    """Makes an object of every connected component."""

    class Options(StageOptions):
        """Which classes become objects, and which voxels are connected."""

        connectivity: Connectivity = Field(default=26, description="6, 18 or 26 neighbors; 4 or 8 in 2D images")
        classes: tuple[str, ...] | None = Field(default=None, description="names; null makes objects of every class")

    options: Options
    runs: ClassVar[Where] = "aside"

    def run(self, item: LabelMap | Prediction, context: RunContext) -> Instances:
        """Number the objects."""
        labels = _labels(item)
        values = _values(self.options.classes, labels)
        return _scored(components(labels, connectivity=self.options.connectivity, classes=values), item)


@dataclass(frozen=True)
class Watershed:
    """Makes an object of every connected component and splits those that touch."""

    class Options(StageOptions):
        """How touching objects are split."""

        depth_mm: float = Field(
            default=0.5, gt=0, description="depth of the neck between two objects; a smaller value splits more"
        )
        sigma_mm: float = Field(default=1.0, ge=0, description="smoothing of the distance to the border")
        min_mm3: float = Field(default=0.0, ge=0, description="smaller parts are not split off")
        connectivity: Connectivity = 26
        classes: tuple[str, ...] | None = Field(default=None, description="names; null makes objects of every class")

    options: Options
    runs: ClassVar[Where] = "aside"

    def run(self, item: LabelMap | Prediction, context: RunContext) -> Instances:
        """Number the objects."""
        labels = _labels(item)
        chosen = self.options.model_dump(exclude={"classes"})
        return _scored(watershed(labels, **chosen, classes=_values(self.options.classes, labels)), item)


@dataclass(frozen=True)
class Border:
    """Makes objects of the interiors and borders a network has found."""

    class Options(StageOptions):
        """The border class, and the smallest seeds and objects."""

        border: str = Field(default=BORDER, description="name of the border class")
        min_seed_mm3: float = Field(
            default=0.0,
            ge=0,
            description="smaller interiors do not become objects of their own",
        )
        min_mm3: float = Field(default=0.0, ge=0, description="smaller objects are removed")
        depth_mm: Annotated[float, Field(gt=0)] | None = Field(
            default=None, description="split by shape, as watershed does, what the network did not separate"
        )
        sigma_mm: float = Field(default=1.0, ge=0, description="smoothing of the distance, for depth_mm")
        connectivity: Connectivity = 26

    options: Options
    runs: ClassVar[Where] = "aside"

    def run(self, item: Prediction, context: RunContext) -> Instances:
        """Number the objects; with probabilities, each gets the mean probability of its class."""
        chosen = self.options.model_dump()
        found = objects_from_border(_labels(item), probabilities=item.probabilities, **chosen)
        if item.probabilities is None:
            return found
        made = {entry.value for entry in found.table}
        kept = [0, *(place for value, place in channel_of_class(item.labels.table).items() if value in made)]
        return score(found, item.probabilities[kept])


@dataclass(frozen=True)
class Panoptic:
    """Merges things, as connected components, and stuff into one id map with a table."""

    class Options(StageOptions):
        """Which voxels are connected, and what is measured."""

        connectivity: Connectivity = 26
        shape: bool = Field(default=True, description="measure longest diameter and sphericity of things")

    options: Options
    runs: ClassVar[Where] = "aside"

    def run(self, item: LabelMap | Prediction, context: RunContext) -> Instances:
        """Make the id map and its table, with mean probabilities where the prediction has them."""
        probabilities = item.probabilities if isinstance(item, Prediction) else None
        return panoptic(_labels(item), probabilities=probabilities, **self.options.model_dump())


@dataclass(frozen=True, eq=False)
class ThingsAndStuff:
    """Objects made by an earlier step and the prediction they were made from."""

    things: Instances
    prediction: Prediction


@dataclass(frozen=True)
class MergeStuff:
    """Merges objects of an earlier step with the stuff of the prediction."""

    class Options(StageOptions):
        """Which measures each object gets."""

        shape: bool = Field(default=True, description="measure longest diameter and sphericity of things")

    options: Options
    runs: ClassVar[Where] = "aside"

    def run(self, item: ThingsAndStuff, context: RunContext) -> Instances:
        """Lay the objects over the stuff."""
        prediction = item.prediction
        return panoptic(
            _labels(prediction), item.things, probabilities=prediction.probabilities, shape=self.options.shape
        )


@dataclass(frozen=True)
class MeasureObjects:
    """Measures every object, with mean intensities from the case's scan."""

    class Options(StageOptions):
        """Which measures each object gets."""

        shape: bool = Field(default=True, description="longest diameter and sphericity")
        intensity: bool = Field(default=True, description="mean intensity of each channel")

    options: Options
    runs: ClassVar[Where] = "aside"

    def run(self, item: ObjectsOfCase, context: RunContext) -> Instances:
        """Fill the measures of every row."""
        scan = item.case.scan if self.options.intensity else None
        return measure(item.instances, scan, shape=self.options.shape)
