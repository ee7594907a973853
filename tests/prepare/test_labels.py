import numpy as np
import pytest
from objects_for_tests import ORDERS, input_card, scan_of, stored

from medseg.errors import GeometryMismatch
from medseg.prepare.card import ChannelCard, NormalizationCard, ResamplingCard
from medseg.prepare.labels import prepare_labels
from medseg.prepare.prepared import prepare
from medseg.types import Geometry, LabelMap, LabelTable


@pytest.mark.parametrize("order", ORDERS[::7])
def test_reference_and_scan_stay_together(order):
    labels = np.zeros((18, 20, 12), np.uint8)
    labels[4:12, 5:14, 3:9] = 2
    labels[6:9, 7:11, 5:8] = 1
    # The scan is its own label, so after any way in the two must agree but for the blurred border.
    scan = stored(scan_of(labels.astype(np.float32) + 10, (1.0, 1.4, 2.0)), order)
    reference = LabelMap(order.apply(labels).copy(), scan.geometry, LabelTable.unnamed([1, 2]))
    channel = ChannelCard(name="MR", normalization=NormalizationCard(scheme="none"))
    wanted = input_card(
        channels=(channel,), spacing=(1.0, 1.0, 1.0), resampling=ResamplingCard(order=1), patch=(24, 8, 8)
    )
    prepared = prepare(scan, wanted)
    got = prepare_labels(reference, prepared.route)
    values = prepared.array[0] - 10
    pure = np.isin(values, (0, 1, 2))
    assert got.shape == values.shape
    assert pure[prepared.route.inner].mean() > 0.5
    assert np.array_equal(got[pure], values[pure])
    assert not got[values < -5].any()


def test_reference_on_another_grid_is_refused():
    prepared = prepare(scan_of(np.zeros((9, 9, 9))), input_card())
    moved = LabelMap(np.zeros((9, 9, 9), np.uint8), Geometry(np.diag([1, 1, 2, 1]), (9, 9, 9)), LabelTable(()))
    with pytest.raises(GeometryMismatch):
        prepare_labels(moved, prepared.route)
