"""Which of two ways to the brightness of the training data is taken, by networks that one of them suits."""

import numpy as np
import pytest
from ellipsoids import LOCATE, PLACEMENT, answer, head, sees

from medseg.locate.plausibility import implausible_regions
from medseg.locate.regions import segment_regions

# Of a head from 0 to 1, which placement takes for CSF and white matter, tissues make 10 to 12, and quantiles 20 to 25.
CARD = LOCATE.model_copy(update={"tissues": (10.0, 11.0, 12.0), "quantiles": (20.0, 25.0)})


def looks_at(shown, *, tissues, quantiles):
    """Above seven tenths of its brightness, but in one way of showing it another part than in the scan's own."""

    def segment(scan):
        array, top = scan.array[0], scan.array.max()
        way = "quantiles" if top > 15 else "tissues" if top > 5 else "plain"
        shown.append(way)
        scaled = {"plain": array, "tissues": (array - 10) / 2, "quantiles": (array - 20) / 5}[way]
        return answer(scan, scaled > {"plain": 0.7, "tissues": tissues, "quantiles": quantiles}[way])

    return segment


@pytest.mark.parametrize(
    ("tissues", "quantiles", "ways", "suits"),
    [
        (0.7, 0.7, {"plain", "tissues"}, True),
        (0.02, 0.7, {"plain", "tissues", "quantiles"}, True),
        (0.02, 0.02, {"plain", "tissues", "quantiles"}, False),
    ],
)
def test_quantiles_are_tried_where_labels_by_tissues_change(tissues, quantiles, ways, suits):
    shown = []
    found = segment_regions(looks_at(shown, tissues=tissues, quantiles=quantiles), head(), PLACEMENT, CARD)
    assert set(shown) == ways
    why = implausible_regions(found, PLACEMENT, CARD)
    assert (why == ()) == suits, why
    assert suits or any("change with their brightness" in text for text in why)


def test_the_way_that_agrees_best_is_kept_where_none_agrees():
    found = segment_regions(looks_at([], tissues=0.02, quantiles=0.1), head(), PLACEMENT, CARD)
    other = segment_regions(looks_at([], tissues=0.02, quantiles=0.02), head(), PLACEMENT, CARD)
    assert min(region.agreement for region in found) > min(region.agreement for region in other)


def test_a_card_with_neither_gives_crops_as_they_are():
    card = LOCATE.model_copy(update={"tissues": None, "quantiles": ()})
    seen = []

    def segment(scan):
        seen.append(float(scan.array.max()))
        return sees(scan)

    assert all(region is not None for region in segment_regions(segment, head(), PLACEMENT, card))
    assert np.max(seen) <= 1.2
