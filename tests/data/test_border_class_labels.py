import numpy as np
import pytest
import yaml
from objects_for_tests import CELL, ball, instances, label_map, packed_cells
from PIL import Image

from medseg.data.border_class import border_labels, border_table, numbered_objects, with_border, without_border
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import ConfigError, InputError
from medseg.io.read import load_scan
from medseg.post.components import components
from medseg.post.from_border import objects_from_border
from medseg.types import Geometry, InstanceRow, Instances, LabelClass, LabelMap, LabelTable
from medseg.types.stage import RunContext


def test_a_border_one_voxel_wide_is_what_has_a_neighbor_outside():
    mask = ball((20, 20, 20), (9, 9, 9), 6)
    cells = components(label_map(mask, table=CELL))
    inner = mask.copy()
    for axis in range(3):
        inner &= np.roll(mask, 1, axis) & np.roll(mask, -1, axis)
    assert np.array_equal(border_labels(cells, 1).array == 1, inner)


def test_border_width_is_in_mm():
    cells = components(label_map(ball((40, 40, 12), (20, 20, 6), 14, (1, 1, 3)), np.diag([1, 1, 3, 1]), CELL))
    target = border_labels(cells, 3).array
    assert target[20, 20, :].tolist() == [0, 0, 2, 1, 1, 1, 1, 1, 1, 1, 2, 0]
    assert target[6:35, 20, 6].tolist() == [2] * 3 + [1] * 23 + [2] * 3


def test_borders_only_where_objects_touch():
    ids = np.zeros((30, 10, 10), np.int32)
    ids[2:10], ids[10:18], ids[22:28] = 1, 2, 3
    cells = instances(ids)
    target = border_labels(cells, 2, where="touching").array
    assert target[:, 5, 5].tolist() == [0] * 2 + [1] * 6 + [2] * 4 + [1] * 6 + [0] * 4 + [1] * 6 + [0] * 2
    assert np.array_equal(objects_from_border(LabelMap(target, cells.geometry, border_table(CELL))).ids > 0, ids > 0)


def test_thin_objects_keep_an_interior_and_stuff_has_no_border():
    ids = np.zeros((12, 12, 12), np.int32)
    ids[2, 3:9, 3:9], ids[8:11] = 1, 2
    table = LabelTable((LabelClass(1, "cell", is_thing=True), LabelClass(2, "gel")))
    rows = (InstanceRow(1, 1, True, 36), InstanceRow(2, 2, False, 432))
    target = border_labels(Instances(ids, Geometry(np.eye(4), ids.shape), rows, table), 1).array
    assert (target[8:11] == 2).all()
    assert (target == 3).sum() == 0  # every voxel is equally deep: all of it is interior
    one = border_labels(components(label_map(np.pad([[[1.0]]], 2), table=CELL)), 1)
    assert one.array[2, 2, 2] == 1


def test_a_border_thinner_than_a_voxel_is_refused():
    with pytest.raises(InputError, match="less than one voxel"):
        border_labels(packed_cells(), 0.5)
    flat = components(label_map(np.ones((5, 5, 1)), np.diag([2, 2, 0.1, 1]), CELL))
    with pytest.raises(InputError, match="less than one voxel of 2 mm"):
        border_labels(flat, 1)


def discs(folder, count=4, size=64):
    """Pictures of bright discs, many of which touch, with one number for each."""
    rng = np.random.default_rng(0)
    for name in range(count):
        ids = np.zeros((size, size), np.uint16)
        for number in range(1, 9):
            x, y = rng.integers(8, size - 8, 2)
            i, j = np.ogrid[:size, :size]
            ids[((i - x) ** 2 + (j - y) ** 2 <= 49) & (ids == 0)] = number
        picture = np.clip(60 + 120 * (ids > 0) + rng.normal(0, 10, ids.shape), 0, 255).astype(np.uint8)
        for kind, array in (("images", picture), ("instances", ids)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(folder / kind / f"{name}.png")
    return folder


def test_references_are_read_as_interiors_and_borders(tmp_path):
    data = with_border(read_dataset(discs(tmp_path)), 1)
    assert [item.name for item in data.table] == ["object", "border"]
    _, reference = read_case(data, data.cases[0])
    ids = np.asarray(Image.open(tmp_path / "instances" / "0.png")).T[..., np.newaxis]
    assert np.array_equal(reference.array > 0, ids > 0)
    around = np.pad(ids, ((1, 1), (1, 1), (0, 0)), mode="edge")
    neighbors = (around[2:, 1:-1], around[:-2, 1:-1], around[1:-1, 2:], around[1:-1, :-2])
    inner = (ids > 0) & np.all([neighbor == ids for neighbor in neighbors], axis=0)
    assert np.array_equal(reference.array == 1, inner)


def test_references_that_are_classes_are_refused(tmp_path):
    discs(tmp_path)
    (tmp_path / "instances").rename(tmp_path / "labels")
    with pytest.raises(ConfigError, match="number objects, and these are classes"):
        with_border(read_dataset(tmp_path), 1)


def test_table_with_and_without():
    assert without_border(border_table(CELL)) == CELL
    labels = LabelMap(np.array([[[0, 7, 7, 9]]], np.uint16), Geometry(np.eye(4), (1, 1, 4)), LabelTable(()))
    assert [(row.id, row.voxels) for row in numbered_objects(labels, CELL).rows] == [(7, 2), (9, 1)]


@pytest.mark.parametrize(("steps", "fewest"), [(3, 0), pytest.param(60, 3, marks=pytest.mark.slow)])
def test_a_model_trained_with_a_border_makes_objects(tmp_path, steps, fewest):
    """From numbered pictures to counted objects, by the commands a user has."""
    from medseg.engine.stages.refine import follow
    from medseg.infer.options import InferOptions
    from medseg.infer.predictor import Predictor
    from medseg.models.package import load_package
    from medseg.training.run import train
    from medseg.training.selection.optimize import optimize

    dataset = discs(tmp_path / "discs")
    recipe = tmp_path / "recipe.yaml"
    network = {"name": "unet", "dimensions": 2, "arguments": {"features": [8, 16]}}
    given = {"channels": [{"name": "image"}], "patch": [32, 32, 1]}
    values = {"border_mm": 1, "network": network, "input": given}
    values |= {"tracking": False, "epochs": 1, "iterations_per_epoch": steps, "sampling": {"batch": 4}}
    recipe.write_text(yaml.safe_dump(values))
    train(dataset, tmp_path / "run", config=recipe, settings=["ema_decay=0.9", "split.folds=2"], device="cpu")
    package = load_package(str(tmp_path / "run" / "model"))
    assert [(item.name, item.is_thing) for item in package.card.table] == [("object", True), ("border", False)]
    assert [(step.stage, step.options) for step in package.card.post] == [("border", {"border": "border"})]
    scan = load_scan(dataset / "images" / "0.png")
    found = follow(Predictor(package, InferOptions(device="cpu")).segment(scan), RunContext(tmp_path))
    assert [item.name for item in found.labels.table] == ["object"]
    assert len(found.instances.rows) >= fewest
    measured, (exact, _) = optimize(package, dataset, precisions=("bfloat16",))
    assert set(measured.card.precisions["bfloat16"].dice_drop) <= {"object", "border"} == set(exact.dice)
