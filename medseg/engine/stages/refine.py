"""Does with a prediction what its model's card says: clean up its labels, make objects of them, measure the objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from pydantic import Field

from medseg.config.load import build
from medseg.engine.stages.objects import Border, CleanUp, Components, Panoptic, Watershed
from medseg.engine.stages.options import StageOptions
from medseg.errors import ModelError
from medseg.post.measure import measure
from medseg.post.object_classes import labels_of_objects
from medseg.types import Instances, Prediction
from medseg.types.run import PredictedCase
from medseg.types.stage import RunContext, Where

# What a card may name. Each takes a prediction and gives a prediction or objects.
STEPS: dict[str, Any] = {
    "clean-up": CleanUp,
    "components": Components,
    "watershed": Watershed,
    "border": Border,
    "panoptic": Panoptic,
}


def follow(prediction: Prediction, context: RunContext) -> Prediction:
    """Follow a prediction's recipe step by step.

    Where a step makes objects, the labels are brought in line with them: a class the step has used up, such as a
    border between touching objects, is gone from labels and table. A step there is none of raises `ModelError`.
    """
    for step in prediction.recipe:
        kind = STEPS.get(step.stage)
        if kind is None:
            raise ModelError(
                f"the model card's step '{step.stage}' is not known",
                where=prediction.model,
                fix=f"Use one of: {', '.join(STEPS)}.",
            )
        options = build(kind.Options, step.options, where=f"card of {prediction.model}, post, {step.stage}")
        made = kind(options).run(prediction, context)
        prediction = _with_objects(prediction, made) if isinstance(made, Instances) else made
    return prediction


def _with_objects(prediction: Prediction, instances: Instances) -> Prediction:
    """Add the objects, and give every voxel of an object its object's class."""
    return replace(prediction, labels=labels_of_objects(prediction.labels, instances), instances=instances)


@dataclass(frozen=True)
class Refine:
    """Follows the model card's recipe and measures the objects it makes."""

    class Options(StageOptions):
        """Whether the model's own post-processing runs."""

        enabled: bool = Field(default=True, description="run the steps that the model's card lists under `post`")

    options: Options
    runs: ClassVar[Where] = "aside"

    def run(self, item: PredictedCase, context: RunContext) -> Prediction:
        """Follow the recipe; a card without one leaves the prediction as it is."""
        if not self.options.enabled or not item.prediction.recipe:
            return item.prediction
        refined = follow(item.prediction, context)
        if refined.instances is None:
            return refined
        return replace(refined, instances=measure(refined.instances, item.case.scan))
