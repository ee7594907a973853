"""Why a result of located regions cannot be trusted: what suitable scans have in common, by the model's card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from medseg.locate.region import Region
from medseg.locate.registration import Placement
from medseg.models.locate_card import LocateCard, PlacementCheckCard, Range, RegionCheckCard


def implausible_placement(placement: Placement, limits: PlacementCheckCard) -> tuple[str, ...]:
    """Say what in a registration is not as in a suitable scan; empty where all is."""
    return tuple(_of_placement(placement, limits))


def _of_placement(placement: Placement, limits: PlacementCheckCard) -> Iterator[str]:
    if placement.correlation < limits.correlation:
        yield f"its intensities do not follow the template's (correlation {placement.correlation:.2f})"
    if _beyond(placement.gray, limits.gray):
        yield (
            f"gray matter is not as bright as in such scans: {placement.gray:.2f} of the way from CSF to white matter, "
            f"where {_range(limits.gray)} is plausible"
        )
    if _beyond(placement.white, limits.white):
        yield (
            f"white matter is not as bright as in such scans: {placement.white:.2f} standard deviations above gray "
            f"matter, where {_range(limits.white)} are plausible"
        )
    if placement.spread_mm > limits.spread_mm:
        yield f"registrations from several starts end {placement.spread_mm:.1f} mm apart"
    if placement.inside < limits.inside:
        yield f"only {placement.inside:.0%} of the brain lies inside the scan"
    if any(_beyond(scale, limits.scale) for scale in placement.scales):
        yield f"it has no head's size (scales {', '.join(f'{s:.2f}' for s in placement.scales)})"


def implausible_regions(regions: Sequence[Region | None], placement: Placement, card: LocateCard) -> tuple[str, ...]:
    """Say what in the regions found is not as in a suitable scan; empty where all is."""
    limits, found = card.region_checks, [region for region in regions if region is not None]
    reasons = [f"{own.name}: nothing was found" for own, r in zip(card.regions, regions, strict=True) if r is None]
    reasons += [f"{region.card.name}: {text}" for region in found for text in _of_region(region, limits)]
    if len(found) == 2:
        reasons += _of_both(found[0], found[1], placement, limits)
    return tuple(reasons)


def _of_region(region: Region, limits: RegionCheckCard) -> Iterator[str]:
    if region.agreement < limits.agreement:
        yield f"the labels of moved crops change with their brightness (Dice {region.agreement:.2f})"
    if region.least_agreement < limits.least_agreement:
        yield f"the labels of two moved crops differ (Dice {region.least_agreement:.2f})"
    if region.fluid > limits.fluid:
        yield f"{region.fluid:.0%} of the labels are as dark as fluid"
    if region.touches:
        yield f"the labels reach the edge of the crop ({region.touches} voxels)"
    if region.component_fraction < limits.component_fraction:
        yield f"only {region.component_fraction:.0%} of the labels are in one component"
    if region.moved_mm > limits.moved_mm:
        yield f"the crop does not settle (it would move by {region.moved_mm:.1f} mm again)"
    if _beyond(region.volume_ml, limits.volume_ml):
        yield f"{region.volume_ml:.2f} ml, where {_range(limits.volume_ml)} ml are plausible"


def _of_both(a: Region, b: Region, placement: Placement, limits: RegionCheckCard) -> Iterator[str]:
    distance = float(np.linalg.norm(a.centroid - b.centroid))
    if _beyond(distance, limits.distance_mm):
        yield f"the two regions lie {distance:.0f} mm apart, where {_range(limits.distance_mm)} mm are plausible"
    off = asymmetry_mm(a, b, placement)
    if off > limits.asymmetry_mm:
        yield f"the two regions are not each other's mirror image ({off:.1f} mm off)"
    small, large = sorted((a.volume_ml, b.volume_ml))
    if large > limits.ratio * small:
        yield f"one region is {large / small:.1f} times the other"


def asymmetry_mm(a: Region, b: Region, placement: Placement) -> float:
    """How far two regions are from being each other's mirror image, in the template."""
    one, other = (placement.to_template(region.centroid) for region in (a, b))
    return float(np.linalg.norm(one * [-1, 1, 1] - other))


def _beyond(value: float, limits: Range) -> bool:
    return not limits[0] <= value <= limits[1]


def _range(limits: Range) -> str:
    return f"{limits[0]:g} to {limits[1]:g}"
