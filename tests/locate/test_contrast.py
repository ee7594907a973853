"""Contrasts made of the template by known steps: which of them is taken for T1, and what changes nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.locate.contrast import contrast
from medseg.locate.plausibility import implausible_placement
from medseg.locate.registration import Placement
from medseg.locate.template import load_template
from medseg.locate.tissues import Tissues
from medseg.models.package import load_package

PACKAGE = load_package("hippocampus")
LIMITS = PACKAGE.card.locate.placement
TEMPLATE = load_template(PACKAGE.folder, PACKAGE.card.locate)
IMAGE = TEMPLATE.image.array
# The template's brightness of air, CSF, gray matter, white matter and fat, and other sequences' of the same.
TISSUES = (0.0, 0.5, 0.78, 0.97, 1.0)


def in_contrast(levels):
    return np.interp(IMAGE, TISSUES, levels).astype(np.float32)


def reasons(array):
    found = contrast(TEMPLATE, array)
    placed = Placement(
        np.eye(4), found.correlation, found.gray, found.white, Tissues(0.5, 0.8, 0.97), 0.5, 1.0, (1.0, 1.0, 1.0)
    )
    return implausible_placement(placed, LIMITS)


def fields(amounts):
    """A brightness that changes along each axis by these fractions of it, from one end to the other."""
    lines = [1 + amount * np.linspace(-1, 1, n) for amount, n in zip(amounts, IMAGE.shape, strict=True)]
    return np.einsum("i,j,k->ijk", *lines).astype(np.float32)


def test_the_template_follows_itself():
    found = contrast(TEMPLATE, IMAGE)
    assert found.correlation == pytest.approx(1)
    assert reasons(IMAGE) == ()


@settings(max_examples=8, deadline=None)
@given(st.tuples(*[st.floats(-0.5, 0.5)] * 3), st.floats(0.2, 5))
def test_neither_a_coil_nor_a_unit_changes_the_contrast(amounts, unit):
    plain, found = contrast(TEMPLATE, IMAGE), contrast(TEMPLATE, IMAGE * fields(amounts) * unit)
    assert found.correlation > 0.85
    assert found.gray == pytest.approx(plain.gray, abs=0.1)
    assert found.white == pytest.approx(plain.white, abs=0.25)


@pytest.mark.parametrize(
    ("levels", "words"),
    [
        ((0, 1, 0.55, 0.35, 0.6), "do not follow the template's"),  # T2
        ((0, 0.1, 0.75, 0.6, 0.9), "gray matter is not as bright"),  # FLAIR
        ((0, 0.85, 1, 0.75, 0.8), "do not follow the template's"),  # proton density
        ((0, 0, 0.05, 1, 1), "gray matter is not as bright"),  # white matter alone, as in anisotropy
        ((0, 0, 1, 0, 0), "white matter is not as bright"),  # gray matter alone
    ],
)
def test_another_contrast_is_told_by(levels, words):
    assert any(words in text for text in reasons(in_contrast(levels)))


@pytest.mark.parametrize("levels", [(0, 0.3, 0.6, 1, 1.2), (0, 0.45, 0.7, 0.9, 2), (0, 0.2, 0.55, 0.8, 0.8)])
def test_a_t1_of_another_sequence_is_one(levels):
    assert reasons(in_contrast(levels)) == ()


def test_an_image_of_one_value_has_no_contrast():
    assert any("do not follow the template's" in text for text in reasons(np.ones_like(IMAGE)))
