"""Each reason to withhold, alone: figures of a suitable head with one of them changed."""

from dataclasses import replace

import numpy as np
import pytest

from medseg.locate.assemble import assembled
from medseg.locate.plausibility import implausible_placement, implausible_regions
from medseg.locate.region import Region
from medseg.locate.registration import Placement
from medseg.locate.tissues import Tissues
from medseg.models.package import load_package
from medseg.types import Geometry, LabelMap, Prediction

PACKAGE = load_package("hippocampus")
CARD = PACKAGE.card
LOCATE = CARD.locate
PLACEMENT = Placement(np.eye(4), 0.7, 0.6, 1.0, Tissues(20, 60, 90), 0.5, 1.0, (1.0, 0.95, 0.9))
GRID = Geometry(np.eye(4), (8, 8, 8))


def region(side, anterior=1.7, posterior=1.5, **changed):
    labels = np.zeros(GRID.shape, np.uint8)
    x = 1 if side == 0 else 5
    labels[x, 4:7, 4], labels[x, 1:4, 4] = 1, 2
    made = Prediction(LabelMap(labels, GRID, CARD.table), PACKAGE.identity)
    center = np.array([-26.0 if side == 0 else 26.0, -22, -15])
    return replace(
        Region(LOCATE.regions[side], labels, 0.95, 0.9, 1.0, 0.02, 0, 0.5, {1: anterior, 2: posterior}, center, made),
        **changed,
    )


def test_a_suitable_head_gives_no_reason():
    assert implausible_placement(PLACEMENT, LOCATE.placement) == ()
    assert implausible_regions([region(0), region(1)], PLACEMENT, LOCATE) == ()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"correlation": 0.2}, "do not follow the template's"),
        ({"gray": 0.95}, "gray matter is not as bright as in such scans: 0.95 of the way"),
        ({"gray": 0.2}, "gray matter is not as bright"),
        ({"white": 0.1}, "white matter is not as bright as in such scans: 0.10 standard deviations"),
        ({"white": 1.7}, "white matter is not as bright"),
        ({"spread_mm": 9.0}, "end 9.0 mm apart"),
        ({"inside": 0.5}, "only 50% of the brain"),
        ({"scales": (1.6, 1.0, 1.0)}, "no head's size"),
    ],
)
def test_a_placement_is_withheld_for(changed, words):
    [text] = implausible_placement(replace(PLACEMENT, **changed), LOCATE.placement)
    assert words in text


@pytest.mark.parametrize(
    ("right", "words"),
    [
        (None, "right: nothing was found"),
        (region(1, agreement=0.5), "right: the labels of moved crops change with their brightness"),
        (region(1, least_agreement=0.5), "right: the labels of two moved crops differ"),
        (region(1, fluid=0.4), "right: 40% of the labels are as dark as fluid"),
        (region(1, touches=12), "reach the edge of the crop (12 voxels)"),
        (region(1, component_fraction=0.6), "only 60% of the labels"),
        (region(1, moved_mm=8.0), "does not settle"),
        (region(1, 1.0, 0.4), "right: 1.40 ml, where 1.6 to 5.5 ml"),
        (region(1, 2.8, 2.5), "1.7 times the other"),
        (region(1, centroid=np.array([60.0, -22, -15])), "86 mm apart"),
        (region(1, centroid=np.array([26.0, -10, -15])), "mirror image (12.0 mm off)"),
    ],
)
def test_regions_are_withheld_for(right, words):
    assert any(words in text for text in implausible_regions([region(0), right], PLACEMENT, LOCATE))


def test_every_class_has_its_side_and_thick_voxels_have_one_class_a_side():
    made = assembled([region(0), region(1)], GRID, CARD, LOCATE, PACKAGE.identity)
    assert {c.value: c.name for c in made.labels.table} == {
        1: "left anterior hippocampus", 2: "left posterior hippocampus",
        3: "right anterior hippocampus", 4: "right posterior hippocampus",
    }  # fmt: skip
    assert len({c.color for c in made.labels.table}) == 4
    assert set(np.unique(made.labels.array[:3])) == {0, 1, 2}
    assert set(np.unique(made.labels.array[3:])) == {0, 3, 4}
    assert made.volume_range_ml["right posterior hippocampus"] == (0.993, 2.153)
    assert any("asymmetry +0.0% (left minus right" in note for note in made.notes)
    thick = assembled([region(0), region(1)], Geometry(np.diag([1, 1, 2.5, 1.0]), GRID.shape), CARD, LOCATE,
                      PACKAGE.identity)  # fmt: skip
    assert {c.value: c.name for c in thick.labels.table} == {5: "left hippocampus", 6: "right hippocampus"}
    assert any("not distinguished, because voxels lie 2.5 mm apart" in note for note in thick.notes)


def test_odd_parts_of_a_plausible_whole_get_a_warning():
    made = assembled([region(0, 2.6, 0.6), region(1)], GRID, CARD, LOCATE, PACKAGE.identity)
    [text] = made.warnings
    assert "left anterior hippocampus: 81% of the hippocampus, where 38% to 68% are usual" in text
