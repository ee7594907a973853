"""TotalSegmentator's weights folder, as it lies, is one model that does what TotalSegmentator's code does."""

import json

import numpy as np
import pytest
import totalsegmentator_networks as networks
from scipy import ndimage

from medseg.combine.predictor import CompositePredictor
from medseg.errors import MedsegError
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.models.importing import import_model
from medseg.types import Geometry, Scan
from medseg.types.axis_order import AxisOrder

TORCH = InferOptions(engine="torch", device="cpu")


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("totalsegmentator") / "nnunet" / "results"
    for number in networks.FOLDERS:
        networks.write(root, number)
    (root / "Dataset299_body_1559subj").mkdir()
    return root


@pytest.fixture(scope="module")
def total(results):
    return import_model(results, "total", out=results.parent / "total")


def test_the_five_networks_are_one_model_of_117_classes(total):
    card = total.card
    assert [part.name for part in card.composite.parts] == ["organs", "vertebrae", "cardiac", "muscles", "ribs"]
    assert [entry.value for entry in card.table] == list(range(1, 118))
    liver = next(entry for entry in card.table if entry.name == "liver")
    assert (liver.value, liver.code.value, liver.code.scheme) == (5, "10200004", "SCT")
    assert card.table.name_of(51) == "heart"
    assert card.composite.grid.spacing == (1.5, 1.5, 1.5)
    assert card.composite.grid.whole_numbers
    assert card.license.use == "any"
    for part in total.parts:
        assert part.card.input.mirror_axes == ()  # trained without mirroring
        assert part.card.overlap == 0.2
    ribs = card.composite.parts[4]
    assert card.table.name_of(ribs.values[25]) == "sternum"


def test_it_does_what_totalsegmentator_does(total):
    """Its steps in its own order, of scipy and of medseg's prediction for each network, on a scan stored L, S, A."""
    values = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(14, 12, 18)), 1) * 3000
    ras = Scan(values[None].astype(np.int16), Geometry(np.diag([1.1, 2.0, 0.9, 1.0]), values.shape), "CT")
    coarse = ndimage.zoom(ras.array[0].astype(float), np.array(ras.geometry.spacing) / 1.5, mode="nearest", order=1)
    seen = ras.with_array(np.trunc(np.round(coarse, 3))[None], Geometry(np.diag([1.5, 1.5, 1.5, 1.0]), coarse.shape))
    expected = np.zeros(coarse.shape, np.uint8)
    for part, entry in zip(total.parts, total.card.composite.parts, strict=True):
        found = Predictor(part, InferOptions(engine="torch", device="cpu", overlap=0.2)).segment(seen).labels.array
        for own, value in entry.values.items():
            expected[found == own] = value
    expected = ndimage.zoom(expected, np.array(values.shape) / expected.shape, mode="nearest", order=0)
    assert len(np.unique(expected)) > 5
    order = AxisOrder((0, 2, 1), (True, False, False))
    stored = ras.with_array(np.ascontiguousarray(order.apply(ras.array)), order.geometry(ras.geometry))
    got = CompositePredictor(total, TORCH).segment(stored)
    assert np.array_equal(got.labels.array, order.apply(expected))
    assert got.computed.windows.total > 0


@pytest.mark.parametrize(("number", "spacing", "part"), [(297, 3.0, "total-3mm"), (298, 6.0, "total-6mm")])
def test_a_folder_of_a_fast_network(results, tmp_path, number, spacing, part):
    card = import_model(results / networks.FOLDERS[number], "fast", out=tmp_path / "fast").card
    assert card.composite.grid.spacing == (spacing,) * 3
    assert [entry.name for entry in card.composite.parts] == [part]
    assert len(card.table) == 117


def test_one_part_alone(results, tmp_path):
    folder = next((results / networks.FOLDERS[293]).iterdir())
    card = import_model(folder, "heart", out=tmp_path / "heart").card
    assert [entry.name for entry in card.table][:3] == ["heart", "aorta", "pulmonary_vein"]
    assert card.table.name_of(51) == "heart"


def test_what_is_missing_or_other_is_named(results, tmp_path):
    few = tmp_path / "few"
    for number in (291, 292):
        networks.write(few, number)
    with pytest.raises(MedsegError, match=r"needs 5 networks, and Dataset 293, 294, 295 are not there"):
        import_model(few, "few", out=tmp_path / "out")
    other = next((few / networks.FOLDERS[291]).iterdir())
    described = json.loads((other / "dataset.json").read_text())
    described["labels"] = {"background": 0, "liver": 1}
    (other / "dataset.json").write_text(json.dumps(described))
    with pytest.raises(MedsegError, match=r"has 1 classes, where TotalSegmentator's class map has 24"):
        import_model(other, "few", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
