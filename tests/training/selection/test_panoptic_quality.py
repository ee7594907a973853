"""PQ of held-out cases whose references number objects."""

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from medseg.api.model import load_model
from medseg.data.border_class import with_border
from medseg.data.layouts import read_dataset
from medseg.evaluation.metrics.detection import count_overlaps, detection_measures
from medseg.models.package import load_package
from medseg.training.fold_results import fold_dice
from medseg.training.run import train
from medseg.training.selection.validate import CaseDice, mean_pq, validate, write_validation


@pytest.fixture(scope="module")
def nuclei(tmp_path_factory):
    """Three bright disks on dark, two of which touch, and a fourth that only the reference has."""
    folder = tmp_path_factory.mktemp("nuclei")
    random = np.random.default_rng(0)
    for k in range(4):
        ids = np.zeros((128, 128), np.uint8)
        rows, columns = np.ogrid[:128, :128]
        for n, (y, x) in enumerate([(30, 30), (30, 50), (90, 30), (90, 96)], start=1):
            ids[(rows - y) ** 2 + (columns - x - k) ** 2 <= 100] = n
        gray = ndimage.gaussian_filter(np.where((ids > 0) & (ids < 4), 120.0, 20.0), 1)
        gray = np.clip(gray + random.normal(0, 3, gray.shape), 0, 255).astype(np.uint8)
        for name, array in (("images", np.stack([gray] * 3, -1)), ("instances", ids)):
            (folder / name).mkdir(exist_ok=True)
            Image.fromarray(array).save(folder / name / f"n{k}.png")
    return folder


def reference_of(folder, case_id):
    return np.asarray(Image.open(folder / "instances" / f"{case_id}.png")).T[:, :, None]


def test_a_run_measures_the_objects_that_predict_makes(nuclei, tmp_path):
    """A run of one step from the shipped model: in its table, on its card and in its report."""
    settings = ["optimizer.learning_rate=1e-9", "iterations_per_epoch=1", "split.folds=2", "split.fold=0"]
    settings += ["input.patch=[64,64,1]", "tracking=false"]
    train(nuclei, tmp_path, config="nuclei", start="nuclei", epochs=1, device="cpu", settings=settings)
    package = load_package(tmp_path / "model")
    with (tmp_path / "validation.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["metric"] == "pq"]
    assert [row["class"] for row in rows] == ["nucleus", "nucleus"]
    model = load_model(tmp_path / "model", device="cpu", engine="torch")
    for row in rows:
        found = model.segment(nuclei / "images" / f"{row['case_id']}.png").instances
        expected = detection_measures(count_overlaps(reference_of(nuclei, row["case_id"]), found.ids))["pq"]
        assert len(found.rows) == 3
        assert float(row["value"]) == pytest.approx(expected, abs=1e-6)
    mean = np.mean([float(row["value"]) for row in rows])
    assert package.card.validation.pq == {"nucleus": pytest.approx(mean, abs=1e-4)}
    assert f"{mean:.3f}</b>mean PQ of nucleus" in (tmp_path / "report.html").read_text()


def test_a_recipe_without_a_border_class_has_none(nuclei):
    package = load_package("nuclei")
    card = package.card.model_copy(update={"post": ()})
    data = with_border(read_dataset(nuclei), 1.5)
    (result,) = validate(replace(package, card=card), data, data.cases[:1], device="cpu")
    assert result.pq == {}


def test_it_is_written_and_read_again_and_nan_is_skipped_in_the_mean(tmp_path):
    results = [CaseDice("a", {"x": 0.5}, pq={"x": 0.4}), CaseDice("b", {"x": 0.5}, pq={"x": math.nan})]
    results.append(CaseDice("c", {"x": 0.5}, pq={"x": 0.6}))
    assert mean_pq(results) == {"x": 0.5}
    write_validation(tmp_path / "validation.csv", results)
    assert mean_pq(fold_dice(tmp_path / "validation.csv")) == {"x": 0.5}
    assert mean_pq([CaseDice("a", {"x": 0.5})]) == {}
