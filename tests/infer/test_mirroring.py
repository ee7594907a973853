import numpy as np
import pytest
from networks_for_tests import Analytic, bands, package
from objects_for_tests import scan_of

from medseg.infer.mirroring import mirror_axes
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor


@pytest.mark.parametrize(
    ("mirror_axes", "mirror", "expected", "remark"),
    [
        ((0, 1, 2), "none", (), False),
        ((0, 1, 2), "left-right", (0,), False),
        ((0, 1, 2), "all", (0, 1, 2), False),
        ((0, 2), "all", (0, 2), True),
        (None, "left-right", (0,), True),
    ],
)
def test_mirroring_is_along_sound_axes_only(mirror_axes, mirror, expected, remark):
    predictor = Predictor(package(mirror_axes=mirror_axes), InferOptions(mirror=mirror), engine=Analytic(bands(3)))
    assert predictor.mirror == expected
    assert bool(predictor.segment(scan_of(np.zeros((20, 20, 20)))).notes) is remark


@pytest.mark.parametrize(
    ("recommended", "mirror", "expected"),
    [("left-right", "auto", (0,)), ("all", "auto", (0, 1, 2)), ("none", "auto", ()), ("left-right", "none", ())],
)
def test_auto_mirrors_as_the_card_says(recommended, mirror, expected):
    model = package(mirror_axes=(0, 1, 2))
    model = type(model)(None, model.card.model_copy(update={"mirror": recommended}))
    assert Predictor(model, InferOptions(mirror=mirror), engine=Analytic(bands(3))).mirror == expected
    assert Predictor(model, InferOptions(), engine=Analytic(bands(3))).mirror == (
        expected if mirror == "auto" else (0,)
    )


@pytest.mark.parametrize(
    ("names", "changes", "expected"),
    [
        (("lh_ball", "rh_ball"), {"mirror_axes": (0, 1, 2)}, (1, 2)),
        (("lh_ball", "rh_ball"), {"mirror_axes": None}, (1, 2)),
        (("lh_ball", "rh_ball"), {"mirror_axes": (0, 1, 2), "axis_order": (2, 1, 0)}, (0, 1)),
        # As nnU-Net's packages are: trained on mirrored patches, axes as the file stores them.
        (("kidney_left", "kidney_right"), {"mirror_axes": (0, 1, 2), "orientation": "stored"}, ()),
        (("liver", "spleen"), {"mirror_axes": (0, 1, 2), "orientation": "stored"}, (0, 1, 2)),
        (("lh_ball", "rh_ball"), {"mirror_axes": (0, 1, 2), "mirror_sides": True}, (0, 1, 2)),
    ],
)
def test_left_and_right_are_never_averaged(names, changes, expected):
    model = package(**changes)
    classes = tuple(c.model_copy(update={"name": name}) for c, name in zip(model.card.classes, names, strict=True))
    axes, notes = mirror_axes(model.card.model_copy(update={"classes": classes}), "all")
    assert axes == expected
    said = any("left and right by their names" in note for note in notes)
    assert said is (len(expected) < 3)
