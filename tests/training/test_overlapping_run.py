"""From references whose classes share voxels to a package that finds each class whole, and its evaluation."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import yaml
from tiny_dataset import SHAPE, train_config

from medseg.data.audit import audit
from medseg.data.describe import description_text
from medseg.data.description import DatasetDescription
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.engine.evaluate import evaluate
from medseg.engine.predict import predict
from medseg.errors import ConfigError, InputError
from medseg.evaluation.options import EvaluateOptions
from medseg.models.package import load_package
from medseg.training.run import train
from medseg.training.strategies import train_cascade

NAMES = ("lobe", "mass")
# Two balls that share a lens: neither lies in the other, which one label map cannot hold.
CENTERS = ([7, 9, 7], [12, 9, 7])


def case_of(number: int):
    """Image, and the masks of both classes: each adds to the intensities where it is."""
    random = np.random.default_rng(number)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), -1)
    shift = random.integers(-1, 2, 3)
    masks = [((grid - (np.array(center) + shift)) ** 2).sum(-1) <= (4 + 0.1 * number) ** 2 for center in CENTERS]
    image = random.normal(0, 0.2, SHAPE) + 2 * masks[0] + 5 * masks[1]
    return image.astype(np.float32), masks


def save(array, path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4)), path)
    return str(path)


@pytest.fixture(scope="module")
def channels(tmp_path_factory) -> Path:
    """nnU-Net's layout, whose labels have one channel a class."""
    folder = tmp_path_factory.mktemp("channels")
    for number in range(6):
        image, masks = case_of(number)
        save(image, folder / "imagesTr" / f"c{number}_0000.nii.gz")
        save(np.stack(masks, axis=-1).astype(np.uint8), folder / "labelsTr" / f"c{number}.nii.gz")
    description = {"channel_names": {"0": "MR"}, "labels": {"background": 0, "lobe": 1, "mass": 2}, "numTraining": 6}
    (folder / "dataset.json").write_text(json.dumps({**description, "file_ending": ".nii.gz", "overlapping": True}))
    return folder


def masks_of_files(folder: Path, cases: int = 6, **more) -> Path:
    """The same data as a table with a file for each class."""
    rows = []
    for number in range(cases):
        image, masks = case_of(number)
        row = {"case": f"c{number}", "MR": save(image, folder / f"c{number}" / "mr.nii.gz")}
        for name, mask in zip(NAMES, masks, strict=True):
            row[name] = save(mask.astype(np.uint8), folder / f"c{number}" / f"{name}.nii.gz")
        rows.append(row)
    labels = {name: {"value": value, "column": name} for value, name in enumerate(NAMES, start=1)}
    content = {"channels": {"MR": "MR"}, "labels": labels, "overlapping": True, "cases": rows, **more}
    (folder / "dataset.yaml").write_text(yaml.safe_dump(content))
    return folder / "dataset.yaml"


def test_channels_and_files_hold_the_same_combinations(channels, tmp_path):
    for path in (channels, masks_of_files(tmp_path, cases=2)):
        data = read_dataset(path)
        assert data.regions == {1: (1, 3), 2: (2, 3)}
        _, reference = read_case(data, data.cases[1])
        _, masks = case_of(1)
        assert np.array_equal(reference.array, masks[0] + 2 * masks[1])


def test_an_audit_finds_nothing_wrong_and_a_description_reads_the_same(channels, tmp_path):
    data = read_dataset(channels)
    found = audit(data)
    assert not [finding for finding in found.findings if finding.blocks]
    (tmp_path / "dataset.yaml").write_text(description_text(data, tmp_path))
    again = read_dataset(tmp_path / "dataset.yaml")
    assert (again.regions, again.masks) == (data.regions, True)
    assert np.array_equal(read_case(again, again.cases[1])[1].array, read_case(data, data.cases[1])[1].array)


def test_a_folder_of_masks_of_one_place_is_of_classes_where_a_person_says_so(tmp_path):
    for number in range(3):
        image, masks = case_of(number)
        nearly = np.roll(masks[0], 1, axis=0)  # as another rater would draw the same
        save(image, tmp_path / f"s{number}" / "mri.nii.gz")
        for name, mask in (("lobe", masks[0]), ("rim", nearly)):
            save(mask.astype(np.uint8), tmp_path / f"s{number}" / "segmentations" / f"{name}.nii.gz")
    (said,) = (text for text in read_dataset(tmp_path).ambiguous if "2 kinds of label" in text)
    assert said.endswith("or state overlapping: true where each is a class")
    data = read_dataset(tmp_path, DatasetDescription(overlapping=True))
    assert [entry.name for entry in data.table] == ["lobe", "rim"]
    reference = read_case(data, data.cases[0])[1].array
    masks = case_of(0)[1]
    assert np.array_equal(reference & 1 > 0, masks[0])
    assert set(np.unique(reference)) == {0, 1, 2, 3}


def test_a_class_without_a_mask_is_not_annotated(tmp_path):
    path = masks_of_files(tmp_path, cases=3)
    content = yaml.safe_load(path.read_text())
    del content["cases"][0]["mass"]
    path.write_text(yaml.safe_dump(content))
    data = read_dataset(path)
    assert [case.annotated for case in data.cases] == [("lobe",), None, None]
    assert set(np.unique(read_case(data, data.cases[0])[1].array)) == {0, 1}


@pytest.mark.parametrize(
    ("more", "words"),
    [({"ignore": 9}, "no numbered objects, colors or value to ignore"), ({}, "at most 7 classes that overlap")],
)
def test_what_masks_cannot_be_is_refused(tmp_path, more, words):
    path = masks_of_files(tmp_path, cases=1)
    content = yaml.safe_load(path.read_text())
    if not more:
        content["labels"] = {f"c{n}": {"value": n, "column": f"c{n}"} for n in range(1, 9)}
        content["cases"][0] |= {f"c{n}": content["cases"][0]["lobe"] for n in range(1, 9)}
        content["cases"][0] = {k: v for k, v in content["cases"][0].items() if k not in NAMES}
    path.write_text(yaml.safe_dump({**content, **more}))
    with pytest.raises(InputError, match=words):
        read_dataset(path)


def test_regions_that_a_label_map_could_not_hold_may_overlap(channels):
    data = read_dataset(channels)
    regions = {1: (1, 3), 2: (2, 3)}
    with pytest.raises(InputError, match="which lies in other regions"):
        replace(data, overlapping=False, masks=False, regions=regions)
    assert replace(data, masks=False, regions=regions).overlapping


def test_a_cascade_is_refused(channels, tmp_path):
    from tiny_dataset import run_without_cases

    def make_run(name, out):
        run = run_without_cases(train_config(), out)
        return replace(run, dataset=replace(run.dataset, overlapping=True))

    with pytest.raises(ConfigError, match="cascade is shown one class"):
        train_cascade(make_run, tmp_path)


@pytest.mark.slow
def test_both_classes_are_learnt_where_they_share_voxels(channels, tmp_path):
    config = train_config(
        network={"name": "unet", "arguments": {"features": [8, 16]}}, epochs=50, augment={"flip": ["y"]}
    )
    package = train(channels, tmp_path / "run", config=config, device="cpu")
    card = load_package(package.folder).card
    assert (card.overlapping, card.regions) == (True, (1, 2))
    assert min(card.validation.dice.values()) > 0.85
    with (tmp_path / "run" / "validation_volumes.csv").open() as table:
        volumes = {(row["case_id"], row["class"]): float(row["reference_volume_ml"]) for row in csv.DictReader(table)}
    for case in card.training.held_out:
        for name, mask in zip(NAMES, case_of(int(case[1:]))[1], strict=True):
            assert volumes[case, name] == pytest.approx(mask.sum() / 1000)
    scans, shared = tmp_path / "scans", {}
    for case in card.training.held_out:
        image, masks = case_of(int(case[1:]))
        save(image, scans / f"{case}.nii.gz")
        shared[case] = masks[0] & masks[1]
    predict(scans, package.folder, tmp_path / "out", format="nifti", engine="torch", anyway=True)
    for case, lens in shared.items():
        found = np.asarray(nib.load(tmp_path / "out" / case / "labels.nii.gz").dataobj)
        assert found[lens].all(axis=-1).mean() > 0.7
    measured = evaluate(tmp_path / "out", channels, config=EvaluateOptions(n_bootstrap=100, surfaces=False))
    for name, expected in card.validation.dice.items():
        found = [row.value for row in measured.rows if (row.class_name, row.metric) == (name, "dice")]
        assert np.mean(found) == pytest.approx(expected, abs=0.005)
