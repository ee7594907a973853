"""One prediction from the regions found in a scan: labels, names with sides, uncertainty, and what to know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medseg.locate.region import Region
from medseg.locate.table import part_value, parts_table, whole_table, whole_value
from medseg.models.card import ModelCard
from medseg.models.locate_card import LocateCard
from medseg.types import Geometry, LabelMap, ModelIdentity, Prediction
from medseg.types.how_computed import HowComputed, WindowCount
from medseg.types.prediction import ClassUncertainty

ROUNDING = 1.001  # headers round spacings
SIDES = "Left and right are as the scan's header says; a header that exchanges them cannot be noticed."


def assembled(
    regions: Sequence[Region | None], grid: Geometry, card: ModelCard, locate: LocateCard, model: ModelIdentity
) -> Prediction:
    """Put the regions into one label map on the grid they were found on.

    Where voxels are too thick to distinguish the classes of a region, each region is one class.
    """
    parts = max(grid.spacing) <= locate.parts_up_to_mm * ROUNDING
    array = np.zeros(grid.shape, np.uint8)
    uncertainty: dict[int, ClassUncertainty] = {}
    found = [(n, region) for n, region in enumerate(regions) if region is not None]
    for n, region in found:
        for entry in card.table:
            value = part_value(card, n, entry.value) if parts else whole_value(card, locate, n)
            array[region.labels == entry.value] = value
            if parts and entry.value in region.prediction.uncertainty:
                uncertainty[value] = region.prediction.uncertainty[entry.value]
    ranges = card.validation.volume_range_ml if card.validation and parts else {}
    return Prediction(
        LabelMap(array, grid, parts_table(card, locate) if parts else whole_table(card, locate)),
        model,
        warnings=tuple(text for _, region in found for text in _odd_parts(region, locate) if parts),
        notes=(*_notes([region for _, region in found], grid, locate, parts=parts), *_no_intervals(card)),
        uncertainty=uncertainty,
        volume_range_ml={f"{own.name} {name}": limits for own in locate.regions for name, limits in ranges.items()},
    )


def windows_of(how: HowComputed, regions: Sequence[Region | None]) -> HowComputed:
    """Say how the regions were computed, with the windows of all of them; of each region, those of its last crop."""
    counts = [r.prediction.computed.windows for r in regions if r is not None and r.prediction.computed is not None]
    total = WindowCount(
        sum(count.computed for count in counts),
        sum(count.reused for count in counts),
        sum(count.skipped for count in counts),
    )
    return replace(how, windows=total)


def _odd_parts(region: Region, locate: LocateCard) -> tuple[str, ...]:
    low, high = locate.region_checks.first_class
    fraction = next(iter(region.volumes_ml.values())) / region.volume_ml
    if low <= fraction <= high:
        return ()
    first = next(entry.name for entry in region.prediction.labels.table)
    return (
        f"{region.card.name} {first}: {fraction:.0%} of the {locate.whole}, where {low:.0%} to {high:.0%} are usual; "
        "use the whole, not its parts.",
    )


def _notes(regions: Sequence[Region], grid: Geometry, locate: LocateCard, *, parts: bool) -> tuple[str, ...]:
    notes = [f"The model found its regions in {locate.what} and segmented a crop around each.", SIDES]
    if not parts:
        notes.append(
            f"Its parts are not distinguished, because voxels lie {max(grid.spacing):.3g} mm apart (at most "
            f"{locate.parts_up_to_mm:g} mm)."
        )
    if len(regions) == 2:
        notes.append(_asymmetry(regions[0], regions[1], locate))
    return tuple(notes)


def _no_intervals(card: ModelCard) -> tuple[str, ...]:
    """Say why volumes have no intervals, where those of crops have."""
    return () if card.volume_interval is None else ("No interval is given with the volumes: it was measured on crops.",)


def _asymmetry(a: Region, b: Region, locate: LocateCard) -> str:
    """Volumes of both, and their difference by their mean."""
    difference = (a.volume_ml - b.volume_ml) / ((a.volume_ml + b.volume_ml) / 2)
    return (
        f"{a.card.name} {locate.whole} {a.volume_ml:.2f} ml, {b.card.name} {b.volume_ml:.2f} ml: asymmetry "
        f"{difference:+.1%} ({a.card.name} minus {b.card.name}, of their mean)."
    )
