"""Overlapping regions from an nnU-Net dataset to a package that predicts the right labels."""

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from tiny_dataset import SHAPE, train_config

from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import ConfigError
from medseg.infer.predictor import Predictor
from medseg.models.package import load_package
from medseg.training.run import train


def write_onions(folder: Path, cases: int = 6) -> Path:
    """Write balls within balls, 2 around 1 around 4, and in one corner voxels to ignore."""
    (folder / "imagesTr").mkdir(parents=True)
    (folder / "labelsTr").mkdir()
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), -1)
    for number in range(cases):
        random = np.random.default_rng(number)
        center = np.array([10, 9, 7]) + random.integers(-2, 3, 3)
        far = np.sqrt(((grid - center) ** 2).sum(-1))
        labels = np.select([far <= 3, far <= 4.8, far <= 6.6], [4, 1, 2], 0).astype(np.uint8)
        image = np.choose(np.searchsorted([0, 1, 2, 4], labels), [0.0, 4.0, 2.0, 6.0]) + random.normal(0, 0.2, SHAPE)
        labels[:3, :3] = 9
        nib.save(nib.Nifti1Image(image.astype(np.float32), np.eye(4)), folder / "imagesTr" / f"c{number}_0000.nii.gz")
        nib.save(nib.Nifti1Image(labels, np.eye(4)), folder / "labelsTr" / f"c{number}.nii.gz")
    labels = {"background": 0, "whole": [1, 2, 4], "core": [1, 4], "enhancing": 4, "ignore": 9}
    description = {"channel_names": {"0": "MR"}, "labels": labels, "regions_class_order": [2, 1, 4]}
    (folder / "dataset.json").write_text(json.dumps({**description, "file_ending": ".nii.gz"}))
    return folder


def test_regions_are_learnt_and_come_back_as_labels(tmp_path):
    folder = write_onions(tmp_path / "onions")
    network = {"name": "unet", "arguments": {"features": [8, 16]}}
    config = train_config(network=network, epochs=60, augment={"flip": ["x", "y"]})
    package = train(folder, tmp_path / "out", config=config, device="cpu")
    card = load_package(package.folder).card
    assert card.regions == (2, 1, 4)
    assert card.n_outputs == 3
    assert card.validation.dice.keys() == {"whole", "core", "enhancing"}
    assert min(card.validation.dice.values()) > 0.8
    data = read_dataset(folder)
    held_out = next(case for case in data.cases if case.case_id in card.training.held_out)
    scan, reference = read_case(data, held_out)
    found, truth = Predictor(package).segment(scan).labels.array, reference.array
    counted = truth != 9
    assert set(np.unique(found)) <= {0, 1, 2, 4}
    assert (found == truth)[counted].mean() > 0.95
    # Each ring by itself, not only the regions that hold it.
    for value in (1, 2, 4):
        a, b = (found == value)[counted], (truth == value)[counted]
        assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.7, value
    # Volumes are compared with those of results, in which a region is seen only where no later one is.
    trained = [read_case(data, case)[1].array for case in data.cases if case.case_id in card.training.trained_on]
    for value, name in ((2, "whole"), (1, "core"), (4, "enhancing")):
        rings = [(array == value).sum() / 1000 for array in trained]
        assert card.validation.volume_range_ml[name] == pytest.approx((min(rings), max(rings)), abs=6e-4)


def test_mirroring_across_sides_is_refused(balls, tmp_path):
    description = json.loads((balls / "dataset.json").read_text())
    folder = tmp_path / "sides"
    folder.mkdir()
    for part in ("imagesTr", "labelsTr"):
        (folder / part).symlink_to(balls / part)
    description["labels"] = {"0": "background", "1": "kidney_left", "2": "kidney_right"}
    (folder / "dataset.json").write_text(json.dumps(description))
    with pytest.raises(ConfigError, match=r"augment\.flip=\[y\]"):
        train(folder, tmp_path / "out", config=train_config(), device="cpu")
    train(folder, tmp_path / "out", config=train_config(augment={"flip": ["y"]}, epochs=1), device="cpu")
