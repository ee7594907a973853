"""Regions found by networks whose answers are known: one that sees the region, and some that do not."""

import numpy as np
import pytest
from ellipsoids import LOCATE, PLACEMENT, answer, head, sees

from medseg.locate.plausibility import implausible_regions
from medseg.locate.region import segment_region
from medseg.locate.sampling import Image


def sees_nothing(scan):
    """The same in the middle of every crop, whatever it shows."""
    index = np.stack(np.meshgrid(*map(np.arange, scan.array.shape[1:]), indexing="ij"), axis=-1)
    return answer(scan, (((index - (np.array(scan.array.shape[1:]) - 1) / 2) / [7, 15, 7]) ** 2).sum(axis=-1) < 1)


@pytest.mark.parametrize("spacing", [0.7, 1.0, 2.0, 3.0])
def test_what_is_there_is_found_off_its_place_and_in_voxels_of_any_size(spacing):
    image = head(spacing, off=(4, -5, 5))
    found = [segment_region(sees, image, PLACEMENT, region, LOCATE) for region in LOCATE.regions]
    for region in found:
        assert np.linalg.norm(region.centroid - np.array(region.card.center_mm) - [4, -5, 5]) < 0.5
        assert region.volume_ml == pytest.approx(4 / 3 * np.pi * 7 * 15 * 7 * 1.5**1.5 / 1000, rel=0.08)
        assert region.agreement > 0.95
        assert region.least_agreement > 0.9
        assert region.moved_mm < 2
        assert region.touches == 0
        assert region.fluid < 0.01


def test_a_network_that_answers_the_same_whatever_it_is_shown_is_noticed():
    """Crops that settle are the same crop twice; only crops that were moved show that the labels move with them."""
    found = [segment_region(sees_nothing, head(), PLACEMENT, region, LOCATE) for region in LOCATE.regions]
    assert all(region.least_agreement < 0.6 for region in found)
    assert any("two moved crops differ" in text for text in implausible_regions(found, PLACEMENT, LOCATE))


def brighter(array):
    return array * 4 - 1


def changes(scan):
    return answer(scan, scan.array[0] > (-0.9 if scan.array.max() > 2 else 0.9))


def keeps(scan):
    return answer(scan, scan.array[0] > (1.8 if scan.array.max() > 2 else 0.7))


def test_labels_that_change_with_the_crops_brightness_are_noticed():
    found = [segment_region(changes, head(), PLACEMENT, region, LOCATE, brighter) for region in LOCATE.regions]
    assert any("change with their brightness" in text for text in implausible_regions(found, PLACEMENT, LOCATE))
    found = [segment_region(keeps, head(), PLACEMENT, region, LOCATE, brighter) for region in LOCATE.regions]
    assert implausible_regions(found, PLACEMENT, LOCATE) == ()


def test_labels_drawn_over_fluid_are_counted():
    """A network that draws the usual shape, where fluid has taken the place of half of it."""
    image = head()
    shrunken = image.array.copy()
    shrunken[image.geometry.to_world(np.argwhere(shrunken > -1))[:, 2].reshape(shrunken.shape) > -12.5] = 0
    half = Image(shrunken, image.geometry)

    def usual(scan):
        return answer(scan, np.maximum(scan.array[0], scan.array[0][:, :, ::-1]) > 0.5)

    found = [segment_region(usual, half, PLACEMENT, region, LOCATE) for region in LOCATE.regions]
    assert all(0.3 < region.fluid < 0.6 for region in found)
    assert any("as dark as fluid" in text for text in implausible_regions(found, PLACEMENT, LOCATE))


def test_nothing_is_found_where_nothing_is_labeled():
    def blind(scan):
        return answer(scan, scan.array[0] > 2)

    assert segment_region(blind, head(), PLACEMENT, LOCATE.regions[0], LOCATE) is None


def test_what_is_found_in_the_settled_crop_alone_is_not_found():
    answered = []

    def once(scan):
        answered.append(scan)
        return sees(scan) if len(answered) <= 3 else answer(scan, scan.array[0] > 2)

    assert segment_region(once, head(), PLACEMENT, LOCATE.regions[0], LOCATE) is None
    assert len(answered) == 11


def test_labels_that_reach_the_edge_of_the_crop_are_counted():
    def all_bright(scan):
        return answer(scan, scan.array[0] > -1)

    region = segment_region(all_bright, head(), PLACEMENT, LOCATE.regions[0], LOCATE)
    assert region.touches > 1000
