"""Gray pictures for networks of colors."""

import numpy as np
import pytest

from medseg.prepare.card import InputCard
from medseg.prepare.gray_to_rgb import in_color
from medseg.types import Geometry, Scan, Source


def card(*names):
    return InputCard(channels=[{"name": name} for name in names], patch=(8, 8, 1))


def picture(channels, kind="image2d"):
    array = np.arange(channels * 20, dtype=np.uint8).reshape(channels, 4, 5, 1)
    return Scan(array, Geometry(np.eye(4), (4, 5, 1)), None, Source(kind))


def test_a_grey_picture_is_shown_as_three_equal_channels():
    scan = picture(1)
    shown, (note,) = in_color(scan, card("red", "green", "blue"))
    assert shown.array.shape == (3, 4, 5, 1)
    assert all(np.array_equal(channel, scan.array[0]) for channel in shown.array)
    assert "gray" in note
    assert shown.source is scan.source


@pytest.mark.parametrize(
    ("scan", "names"),
    [
        (picture(3), ("red", "green", "blue")),
        (picture(1), ("gray",)),
        (picture(1), ("T1", "T2", "FLAIR")),
        (picture(1, "nifti"), ("red", "green", "blue")),
    ],
)
def test_anything_else_stays_as_it_is(scan, names):
    assert in_color(scan, card(*names)) == (scan, ())
