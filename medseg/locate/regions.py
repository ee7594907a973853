"""All regions of a scan, in the brightness of the training data: by its tissues, else by its quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from medseg.locate.crop import by_quantiles
from medseg.locate.region import Brightness, Region, Segmenter, as_it_is, segment_region
from medseg.locate.registration import Placement
from medseg.locate.sampling import Image
from medseg.locate.tissues import by_tissues
from medseg.models.locate_card import LocateCard


def segment_regions(segment: Segmenter, image: Image, placement: Placement, card: LocateCard) -> list[Region | None]:
    """Segment every region of the card; None where the network found nothing.

    How much of a crop is fluid, which differs between patients, changes its quantiles and not its tissues. How bright
    tissues are is measured in the whole neighborhood, and where that is not so in the crop, as with contrast medium,
    quantiles can hold. Labels are those of the first way in which they do not change with the brightness, of both sides
    alike, so that the two can be compared.
    """
    found: list[list[Region | None]] = []
    for way in _ways(placement, card):
        found.append([segment_region(segment, image, placement, region, card, way) for region in card.regions])
        if _agreement(found[-1]) >= card.region_checks.agreement:
            return found[-1]
    return max(found, key=_agreement)


def _ways(placement: Placement, card: LocateCard) -> list[Brightness]:
    ways: list[Brightness] = []
    if card.tissues is not None:
        ways.append(partial(by_tissues, own=placement.tissues, training=card.tissues))
    if card.quantiles:
        ways.append(partial(by_quantiles, quantiles=card.quantiles))
    return ways or [as_it_is]


def _agreement(regions: Sequence[Region | None]) -> float:
    """Return the least agreement, below 0 where one was not found."""
    return min(-1.0 if region is None else region.agreement for region in regions)
