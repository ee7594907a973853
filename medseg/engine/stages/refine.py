"""Does with a prediction what its model's card says: clean up its labels, make objects of them, measure the objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import BaseModel, ConfigDict

from medseg.config.load import build
from medseg.engine.registry import stage_class
from medseg.errors import ModelError
from medseg.types import Instances, LabelMap, Prediction
from medseg.types.labels import smallest_label_dtype
from medseg.types.run import PredictedCase
from medseg.types.stage import RunContext

__all__ = ["Refine", "follow"]

# What a card may name. Each takes a prediction and gives a prediction or objects.
STEPS = ("clean-up", "components", "watershed", "border", "panoptic")


def follow(prediction: Prediction, context: RunContext) -> Prediction:
    """Follow a prediction's recipe step by step.

    Where a step makes objects, the labels are brought in line with them: a class the step has used up, such as a
    border between touching objects, is gone from labels and table.

    Parameters
    ----------
    prediction : Prediction
        As the network gave it.
    context : RunContext
        Of the case.

    Raises
    ------
    ModelError
        When the card names a step there is none of.
    ConfigError
        When it gives a step options it does not have.
    """
    for step in prediction.recipe:
        if step.stage not in STEPS:
            raise ModelError(
                f"the model card's step '{step.stage}' is not known",
                where=prediction.model,
                fix=f"Use one of: {', '.join(STEPS)}.",
            )
        kind = stage_class(step.stage)
        options = build(kind.Options, step.options, where=f"card of {prediction.model}, post, {step.stage}")
        made = kind(options).run(prediction, context)
        prediction = _with_objects(prediction, made) if isinstance(made, Instances) else made
    return prediction


def _with_objects(prediction: Prediction, instances: Instances) -> Prediction:
    """Add the objects, and give every voxel of an object its object's class."""
    labels = prediction.labels
    class_of = np.zeros(max((row.id for row in instances.rows), default=0) + 1, dtype=np.uint16)
    for row in instances.rows:
        class_of[row.id] = row.class_value
    kept = [c.value for c in labels.table if any(c.value == known.value for known in instances.table)]
    made = {row.class_value for row in instances.rows}
    left = np.where(np.isin(labels.array, [v for v in kept if v not in made]), labels.array, 0)
    array = np.where(instances.ids > 0, class_of[instances.ids], left).astype(
        smallest_label_dtype(max(kept, default=0))
    )
    return replace(prediction, labels=LabelMap(array, labels.geometry, instances.table), instances=instances)


class Refine:
    """Follows the model card's recipe and measures the objects it makes."""

    class Options(BaseModel):
        """Whether to."""

        model_config = ConfigDict(extra="forbid", frozen=True)
        enabled: bool = True

    def __init__(self, options: Options) -> None:
        self.options = options

    def run(self, item: PredictedCase, context: RunContext) -> Prediction:
        """Follow the recipe; a card without one leaves the prediction as it is."""
        if not self.options.enabled or not item.prediction.recipe:
            return item.prediction
        from medseg.post.measure import measure

        refined = follow(item.prediction, context)
        if refined.instances is None:
            return refined
        return replace(refined, instances=measure(refined.instances, item.case.scan))
