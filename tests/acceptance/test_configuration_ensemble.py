"""Configurations and their ensembles compared by one command; the ensemble's package predicts like any other."""

import json

import nibabel as nib
import numpy as np
import pytest

from medseg.models.package import load_package

# One of each permutation of the axes, every letter seen.
FEW = ["RAS", "LPI", "ASR", "PIL", "SLA", "IRP"]


def turned(image, orientation):
    now, wanted = nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(orientation)
    return image.as_reoriented(nib.orientations.ornt_transform(now, wanted))


@pytest.mark.slow
def test_configurations_are_trained_and_their_ensemble_predicts_in_every_orientation(medseg, balls, tmp_path, quick):
    out = tmp_path / "run"
    small = ["--epochs", "1", "--set", "iterations_per_epoch=20", "--set", "split.folds=2", "--device", "cpu"]
    done = medseg("train", balls, "--out", out, "--folds", "all", "--configuration", "3d_fullres,2d", *small)
    assert done.returncode == 0, done.stderr
    summary = json.loads((out / "cross_validation.json").read_text())
    assert list(summary["configurations"]) == ["3d_fullres", "2d", "3d_fullres+2d"]
    chosen = load_package(out / "model")
    assert (chosen.card.composite is not None) == ("+" in summary["chosen"])
    assert chosen.card.validation.mean_dice == summary["mean_dice"]

    # Whatever was chosen, each fold has its ensemble.
    ensemble = out / "3d_fullres+2d" / "fold_0" / "model"
    scans = tmp_path / "scans"
    scans.mkdir()
    source = nib.load(balls / "imagesTr" / "case_00.nii.gz")
    for orientation in FEW:
        nib.save(turned(source, orientation), scans / f"{orientation}.nii.gz")
    for name, model in {"chosen": out / "model", "ensemble": ensemble}.items():
        done = medseg("predict", scans, "--model", model, "--out", tmp_path / name, "--format", "nifti", *quick)
        assert done.returncode == 0, done.stderr
    labels = [np.asarray(turned(nib.load(tmp_path / "ensemble" / one / "labels.nii.gz"), "RAS").dataobj) for one in FEW]
    assert len(np.unique(labels[0])) > 1
    assert min((other == labels[0]).mean() for other in labels[1:]) >= 0.9999
