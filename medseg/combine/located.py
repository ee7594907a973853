"""Labels of a part that found its regions in a larger scan, under the part's own classes: sides together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from medseg.errors import NotForThisModel
from medseg.locate.table import part_value, parts_table, whole_table
from medseg.models.card import ModelCard
from medseg.models.composite_card import PartCard
from medseg.models.locate_card import LocateCard
from medseg.types import LabelMap, Prediction

TOGETHER = "{part}: {regions} are one class each in a composite; run that model on its own for each."


def with_own_classes(prediction: Prediction, entry: PartCard, card: ModelCard) -> Prediction:
    """Bring a prediction back to the classes of the part's card, which is all that a composite's values speak of.

    What was said of each side's class, such as the range of its volume, does not hold for both, and is dropped.

    Raises
    ------
    NotForThisModel
        When the part gives each region whole, and the composite takes its classes for different ones.
    """
    locate, table = card.locate, prediction.labels.table
    if locate is None or table == card.table:
        return prediction
    regions = range(len(locate.regions))
    if table == whole_table(card, locate):
        values = _of_whole(prediction, entry, card, locate)
    else:
        assert table == parts_table(card, locate)
        values = {part_value(card, n, own.value): own.value for n in regions for own in card.table}
    lut = np.zeros(table.largest + 1, prediction.labels.array.dtype)
    lut[list(values)] = list(values.values())
    sides = " and ".join(region.name for region in locate.regions)
    return replace(
        prediction,
        labels=LabelMap(lut[prediction.labels.array], prediction.labels.geometry, card.table),
        notes=(*prediction.notes, TOGETHER.format(part=entry.name, regions=sides)),
        volume_range_ml={},
        uncertainty={},
        boundary_limit={},
    )


def _of_whole(prediction: Prediction, entry: PartCard, card: ModelCard, locate: LocateCard) -> Mapping[int, int]:
    own = [known.value for known in card.table]
    if len({entry.values.get(value) for value in own}) > 1 or own[0] not in entry.values:
        widest = max(prediction.labels.geometry.spacing)
        names = " and ".join(known.name for known in card.table)
        raise NotForThisModel(
            f"Voxels lie {widest:.3g} mm apart, where '{entry.name}' does not distinguish {names}, of which the "
            "composite makes different classes",
            fix=f"Give a scan of {locate.parts_up_to_mm:g} mm at most, or run '{card.name}' on its own.",
        )
    return {known.value: own[0] for known in prediction.labels.table}
