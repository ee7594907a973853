"""What a network is shown of interactions."""

import numpy as np
import pytest

from medseg.infer.clicks.interaction import Interaction, interaction_maps, network_input
from medseg.models.interactive_card import MAPS, InteractiveCard

CARD = InteractiveCard(radius=2.0, decay=0.5)
SHAPE = (9, 8, 7)


def click(*voxel, outside=False):
    return Interaction(np.array([voxel]), outside)


def test_each_kind_has_its_channel_and_older_ones_are_weaker():
    line = Interaction(np.array([[1, 1, 1], [1, 2, 1]]), is_outside=True)
    maps = interaction_maps([click(4, 4, 3), line, click(7, 2, 2, outside=True)], SHAPE, CARD)
    assert maps.shape == (len(MAPS) - 1, *SHAPE)
    assert [float(one.max()) for one in maps] == [0.25, 1.0, 0.0, 0.5]
    assert maps[0, 4, 4, 3] == 0.25
    assert maps[3, 1, 2, 1] == 0.5


def test_a_click_is_a_ball_that_falls_outward_and_is_cut_off_at_the_edge():
    (ball, *_) = interaction_maps([click(4, 4, 3)], SHAPE, CARD)
    away = np.sqrt(((np.indices(SHAPE) - np.reshape([4, 4, 3], (3, 1, 1, 1))) ** 2).sum(axis=0))
    assert np.allclose(ball, np.where(away <= 2, 1 - away / 3, 0))
    corner = interaction_maps([click(0, 0, 6)], SHAPE, CARD)[0]
    assert corner[0, 0, 6] == 1
    assert corner[2, 0, 6] == pytest.approx(1 / 3)
    assert not interaction_maps([click(-20, 0, 0)], SHAPE, CARD).any()


def test_the_present_mask_lies_between_the_scan_and_the_interactions():
    image, present = np.full((2, *SHAPE), 7, np.float32), np.zeros(SHAPE, bool)
    present[3] = True
    shown = network_input(image, present, [click(4, 4, 3)], CARD)
    assert shown.dtype == np.float32
    assert shown.shape == (2 + len(MAPS), *SHAPE)
    assert np.array_equal(shown[2], present)
    assert shown[3, 4, 4, 3] == 1


def test_a_scribble_moved_to_coarser_voxels_has_each_of_them_once():
    line = Interaction(np.array([[4, 6, 2], [5, 6, 2], [6, 6, 2]]))
    moved = line.moved((2, 2, 2), (2, 2, 1))
    assert moved.voxels.tolist() == [[1, 2, 0], [2, 2, 0]]
    assert line.center.tolist() == [5, 6, 2]
