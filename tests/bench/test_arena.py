"""The arena: sets laid out from a clone, and differences paired by case."""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import h5py
import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from medseg.data.layouts import read_dataset

ARENA = Path(__file__).resolve().parents[2] / "benchmarks" / "arena"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(ARENA))
    import page

    yield page
    for name in ("page", "layout", "markdown"):
        sys.modules.pop(name, None)


@pytest.fixture
def layout(page: ModuleType) -> ModuleType:
    return sys.modules["layout"]


def test_a_set_of_images_is_laid_out_as_both_read_it(layout, tmp_path):
    kind = tmp_path / "clone" / "dataset" / "benign"
    kind.mkdir(parents=True)
    for number in range(4):
        Image.new("RGB", (12, 9), (number, number, number)).save(kind / f"benign ({number}).png")
        Image.new("L", (12, 9), 255 * (number % 2)).save(kind / f"benign ({number})_mask.png")
    for other in ("malignant", "normal"):
        (kind.parent / other).mkdir()
    folder = layout.lay_out("busi", tmp_path / "clone", tmp_path)
    data = read_dataset(folder)
    assert [case.case_id for case in data.cases if case.split != "test"] == ["benign_1", "benign_2"]
    assert sorted(path.name for path in (folder / "labelsTs").iterdir()) == ["benign_0.png", "benign_3.png"]
    assert np.unique(np.asarray(Image.open(folder / "labelsTs" / "benign_3.png"))).tolist() == [1]


def test_volumes_are_split_by_patient_and_their_axes_are_x_y_z(layout, tmp_path):
    clone = tmp_path / "clone" / "data" / "ACDC" / "ACDC_training_volumes"
    clone.mkdir(parents=True)
    for name in ("patient001_frame01", "patient001_frame12", "patient005_frame01", "patient005_frame13"):
        with h5py.File(clone / f"{name}.h5", "w") as file:
            file["image"], file["label"] = np.ones((3, 5, 4), np.float32), np.full((3, 5, 4), 2, np.uint8)
    folder = layout.lay_out("acdc", tmp_path / "clone", tmp_path)
    assert json.loads((folder / "dataset.json").read_text())["numTraining"] == 2
    assert [path.name for path in (folder / "labelsTs").iterdir()] == ["patient005_frame01.nii.gz"]
    image = nib.load(folder / "imagesTr" / "patient001_frame12_0000.nii.gz")
    assert image.shape == (4, 5, 3)
    assert image.header.get_zooms() == (1.5, 1.5, 10.0)


def test_a_difference_is_paired_by_case_with_its_interval(page):
    """A class that neither reference nor result has is found perfectly."""
    result = {"cases": {"a": {"dice": [0.8, 0.6]}, "b": {"dice": [0.5, math.nan]}, "c": {"dice": [math.nan]}}}
    ours = page.by_case(result, "dice")
    assert ours == pytest.approx({"a": 0.7, "b": 0.75, "c": 1.0})
    assert page.difference(ours, {"b": 0.65, "a": 0.6, "d": 1.0}) == "+0.100 (+0.100 to +0.100)"
    # Student's t of one degree of freedom: 12.706 standard errors of 0.05.
    assert page.difference({"a": 0.7, "b": 0.5}, {"a": 0.6, "b": 0.5}) == "+0.050 (-0.585 to +0.685)"


def test_contestants_are_paired_over_the_seeds_that_both_have(page):
    def run(contestant, seed, dice):
        cases = {case: {metric: [value] for metric in page.METRICS} for case, value in zip("abc", dice, strict=True)}
        return {"contestant": contestant, "seed": seed, "cases": cases, "batch": 2, "patch": [8, 8, 1], "steps": 10,
                "cpu_s": 240.0}  # fmt: skip

    runs = [
        run("medseg", 2, (0.9, 0.7, 0.5)), run("medseg", 1, (0.7, 0.5, 0.3)),
        run("monai", 1, (0.6, 0.4, 0.2)), run("monai", 2, (0.8, 0.6, 0.4)), run("nnunet", 1, (0.5, 0.3, 0.1)),
    ]  # fmt: skip
    medseg, nnunet, monai = (line.split(" | ") for line in page.table(runs).splitlines()[2:])
    assert medseg[1] == "0.500, 0.700"
    assert medseg[4] == ""
    assert nnunet[4] == "+0.200 (+0.200 to +0.200)"  # of the first seed alone
    assert monai[4] == "+0.100 (+0.100 to +0.100)"
