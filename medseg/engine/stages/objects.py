"""Stages that make objects of labels, clean them up and measure them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from medseg.data.border_class import BORDER
from medseg.post.cleanup import Rule, clean_up
from medseg.post.components import class_values, components
from medseg.post.connectivity import Connectivity
from medseg.post.from_border import objects_from_border
from medseg.post.measure import channel_of_class, measure, score
from medseg.post.panoptic import panoptic
from medseg.post.watershed import watershed
from medseg.types import Instances, LabelMap, Prediction
from medseg.types.instances import ObjectsOfCase
from medseg.types.stage import RunContext

__all__ = ["Border", "CleanUp", "Components", "MeasureObjects", "MergeStuff", "Panoptic", "ThingsAndStuff", "Watershed"]


class CleanUp:
    """Cleans the labels of a prediction; probabilities stay as the network gave them."""

    class Options(BaseModel):
        """What to do, in order."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        rules: tuple[Rule, ...] = ()

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: Prediction, context: RunContext) -> Prediction:
        """Apply every rule."""
        return replace(item, labels=clean_up(item.labels, self.options.rules))


class Components:
    """Makes an object of every connected component."""

    class Options(BaseModel):
        """Which classes, and what counts as touching."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        connectivity: Connectivity = Field(default=26, description="6, 18 or 26 neighbors; 4 or 8 in pictures")
        classes: tuple[str, ...] | None = Field(default=None, description="names; null makes objects of every class")

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: LabelMap | Prediction, context: RunContext) -> Instances:
        """Number the objects; with probabilities, each gets the mean score of its class."""
        labels = item.labels if isinstance(item, Prediction) else item
        values = None if self.options.classes is None else class_values(self.options.classes, labels.table)
        found = components(labels, connectivity=self.options.connectivity, classes=values)
        probabilities: Any = item.probabilities if isinstance(item, Prediction) else None
        return found if probabilities is None else score(found, probabilities)


class Watershed:
    """Makes an object of every connected component and splits those that touch."""

    class Options(BaseModel):
        """How readily objects are split."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        depth_mm: float = Field(
            default=0.5, gt=0, description="depth of the neck between two objects; less splits more"
        )
        sigma_mm: float = Field(default=1.0, ge=0, description="smoothing of the distance to the border")
        min_mm3: float = Field(default=0.0, ge=0, description="no smaller piece is split off")
        connectivity: Connectivity = 26
        classes: tuple[str, ...] | None = Field(default=None, description="names; null makes objects of every class")

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: LabelMap | Prediction, context: RunContext) -> Instances:
        """Number the objects; with probabilities, each gets the mean score of its class."""
        labels = item.labels if isinstance(item, Prediction) else item
        chosen = self.options
        found = watershed(
            labels,
            depth_mm=chosen.depth_mm,
            sigma_mm=chosen.sigma_mm,
            min_mm3=chosen.min_mm3,
            connectivity=chosen.connectivity,
            classes=None if chosen.classes is None else class_values(chosen.classes, labels.table),
        )
        probabilities = item.probabilities if isinstance(item, Prediction) else None
        return found if probabilities is None else score(found, probabilities)


class Border:
    """Makes objects of the interiors and borders a network has found."""

    class Options(BaseModel):
        """Which class is the border, and what is too small for a seed."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        border: str = Field(default=BORDER, description="name of the border class")
        min_seed_mm3: float = Field(default=0.0, ge=0, description="smaller interiors are no seeds of their own")
        min_mm3: float = Field(default=0.0, ge=0, description="smaller objects are none")
        depth_mm: Annotated[float, Field(gt=0)] | None = Field(
            default=None, description="split interiors that the network did not part by shape, as watershed does"
        )
        sigma_mm: float = Field(default=1.0, ge=0, description="smoothing of the distance, for depth_mm")
        connectivity: Connectivity = 26

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: Prediction, context: RunContext) -> Instances:
        """Number the objects; with probabilities, each gets the mean score of its class."""
        found = objects_from_border(
            item.labels,
            probabilities=item.probabilities,
            border=self.options.border,
            min_seed_mm3=self.options.min_seed_mm3,
            min_mm3=self.options.min_mm3,
            depth_mm=self.options.depth_mm,
            sigma_mm=self.options.sigma_mm,
            connectivity=self.options.connectivity,
        )
        if item.probabilities is None:
            return found
        made = {entry.value for entry in found.table}
        kept = [0, *(place for value, place in channel_of_class(item.labels.table).items() if value in made)]
        return score(found, item.probabilities[kept])


class Panoptic:
    """Merges things, as connected components, and stuff into one id map with a table."""

    class Options(BaseModel):
        """What counts as touching, and what is measured."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        connectivity: Connectivity = 26
        shape: bool = Field(default=True, description="measure longest diameter and sphericity of things")

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: LabelMap | Prediction, context: RunContext) -> Instances:
        """Make the id map and its table, with probabilities where the prediction has them."""
        labels = item.labels if isinstance(item, Prediction) else item
        probabilities = item.probabilities if isinstance(item, Prediction) else None
        return panoptic(
            labels, probabilities=probabilities, shape=self.options.shape, connectivity=self.options.connectivity
        )


@dataclass(frozen=True, eq=False)
class ThingsAndStuff:
    """Objects made by an earlier step and the prediction they were made from."""

    things: Instances
    prediction: Prediction


class MergeStuff:
    """Merges objects of an earlier step with the stuff of the prediction."""

    class Options(BaseModel):
        """What is measured."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        shape: bool = Field(default=True, description="measure longest diameter and sphericity of things")

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: ThingsAndStuff, context: RunContext) -> Instances:
        """Lay the objects over the stuff."""
        prediction = item.prediction
        return panoptic(
            prediction.labels, item.things, probabilities=prediction.probabilities, shape=self.options.shape
        )


class MeasureObjects:
    """Measures every object, with mean intensities from the case's scan."""

    class Options(BaseModel):
        """What to leave out."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        shape: bool = Field(default=True, description="longest diameter and sphericity")
        intensity: bool = Field(default=True, description="mean intensity of each channel")

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: ObjectsOfCase, context: RunContext) -> Instances:
        """Fill the measures of every row."""
        scan = item.case.scan if self.options.intensity else None
        return measure(item.instances, scan, shape=self.options.shape)
