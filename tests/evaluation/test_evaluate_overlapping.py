"""Classes that share voxels are measured as each of them alone would be, whatever the files."""

import json

import nibabel as nib
import numpy as np
import pytest
from small_labels import MODEL, TABLE, overlapping_labels
from small_series import small_series

from medseg.engine.evaluate import evaluate
from medseg.evaluation.options import EvaluateOptions
from medseg.io.formats import Labeled, write, write_file
from medseg.types import Geometry, LabelClass, OverlappingLabels, Source

QUICK = EvaluateOptions(n_bootstrap=100)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """A reference and a prediction of it with a class moved, in several formats; and every class of both alone."""
    folder = tmp_path_factory.mktemp("pair")
    source, geometry = small_series(folder / "mr")
    reference = overlapping_labels(geometry)
    masks = {c.value: reference.mask(c.value) for c in TABLE}
    masks[1] = np.roll(masks[1], 1, axis=0)
    masks[2] = np.roll(masks[2], 1, axis=1)
    prediction = OverlappingLabels.of_masks([(c, masks[c.value]) for c in TABLE], geometry)
    paths = {}
    for side, labels in (("reference", reference), ("prediction", prediction)):
        for name in ("nifti", "nrrd", "dicom-seg", "rtstruct"):
            paths[side, name] = write(name, Labeled(labels, source, MODEL), folder / side / name).files[0]
        for entry in TABLE:
            alone = folder / f"{side}-{entry.value}" / "case.nii.gz"
            write_file(Labeled(labels.alone(entry), Source("array"), MODEL), alone)
            paths[side, entry.value] = alone
    return paths


def figures(prediction, reference, **options):
    rows = evaluate(prediction, reference, config=QUICK, **options).rows
    return {(row.class_name, row.metric): row.value for row in rows}


def test_every_figure_is_that_of_the_class_alone(pair):
    found = figures(pair["prediction", "nifti"], pair["reference", "nifti"])
    assert {name for name, _ in found} == {entry.name for entry in TABLE}
    assert 0 < found["liver", "dice"] < 1
    assert found["Größe α", "hd95"] > 0
    for entry in TABLE:
        alone = figures(pair["prediction", entry.value], pair["reference", entry.value])
        assert {key: value for key, value in found.items() if key[0] == entry.name} == pytest.approx(alone, nan_ok=True)


@pytest.mark.parametrize("name", ["nrrd", "dicom-seg", "rtstruct"])
def test_any_format_on_either_side_gives_the_same_figures(pair, name):
    wanted = figures(pair["prediction", "nifti"], pair["reference", "nifti"])
    assert figures(pair["prediction", name], pair["reference", "nifti"]) == pytest.approx(wanted, nan_ok=True)
    assert figures(pair["prediction", "nifti"], pair["reference", name]) == pytest.approx(wanted, nan_ok=True)


def test_a_label_map_is_compared_with_overlapping_references_class_by_class(pair):
    found = figures(pair["prediction", 2], pair["reference", "nifti"])
    alone = figures(pair["prediction", 2], pair["reference", 2])
    assert found["Größe α", "dice"] == alone["Größe α", "dice"]
    assert found["liver", "recall"] == 0


def test_regions_and_chosen_classes_count_shared_voxels_once(pair):
    found = figures(pair["prediction", "nifti"], pair["reference", "nifti"], regions={"both": [1, 2]})
    prediction, reference = (_union(pair[side, 1], pair[side, 2]) for side in ("prediction", "reference"))
    dice = 2 * np.count_nonzero(prediction & reference) / (prediction.sum() + reference.sum())
    assert found["both", "dice"] == pytest.approx(dice)
    chosen = evaluate(pair["prediction", "nifti"], pair["reference", "nifti"], config=QUICK, classes={2: "core"})
    assert {row.class_name for row in chosen.rows} == {"core"}
    assert not chosen.warnings


def _union(one, other):
    return np.logical_or(*(np.asarray(nib.load(path).dataobj) > 0 for path in (one, other)))


def test_the_report_names_combinations_and_draws_the_case(pair, tmp_path):
    found = evaluate(pair["prediction", "nifti"], pair["reference", "dicom-seg"], tmp_path, config=QUICK)
    assert "liver + Größe α" in found.summary["confusion"]["classes"]
    assert "data:image/png" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_maps_of_objects_cannot_overlap(pair):
    found = evaluate(pair["prediction", "nifti"], pair["reference", "nifti"], config=QUICK, objects="instances")
    assert "a map of object ids holds one for each voxel" in " ".join(found.failed.values())


def test_a_dataset_of_regions_is_measured_region_by_region(tmp_path):
    """Values of a label map that regions share are no classes: whole joins all three of them."""
    random = np.random.default_rng(0)
    rings = random.integers(0, 4, (12, 10, 8)).astype(np.uint8)
    regions = {"whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    (tmp_path / "labelsTr").mkdir()
    nib.save(nib.Nifti1Image(rings, np.eye(4)), tmp_path / "labelsTr" / "case.nii.gz")
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"background": 0, **regions, "ignore": 9}}))
    geometry = Geometry(np.eye(4), rings.shape)
    drawn = {name: np.isin(rings, values) & (random.random(rings.shape) < 0.8) for name, values in regions.items()}
    # In an order of its own, so that values do not match by chance.
    classes = [LabelClass(value, name) for value, name in enumerate(("enhancing", "core", "whole"), start=1)]
    labels = OverlappingLabels.of_masks([(c, drawn[c.name]) for c in classes], geometry)
    write_file(Labeled(labels, Source("array"), MODEL), tmp_path / "out" / "case.nii.gz")
    found = evaluate(tmp_path / "out" / "case.nii.gz", tmp_path / "labelsTr" / "case.nii.gz", config=QUICK)
    assert "whole, core, enhancing" in found.notes["case"][0]
    dice = {row.class_name: row.value for row in found.rows if row.metric == "dice"}
    expected = {}
    for name, values in regions.items():
        truth = np.isin(rings, values)
        expected[name] = 2 * (truth & drawn[name]).sum() / (truth.sum() + drawn[name].sum())
    assert dice == pytest.approx(expected)
