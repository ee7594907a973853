"""A model of two channels gives the same labels, however its scans are given."""

import csv
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from networks_for_tests import tiny_card

from medseg.cli.app import run
from medseg.engine.predict import run_pipeline
from medseg.engine.runner import RunOptions
from medseg.models.card import NetworkCard
from medseg.models.package import write_package
from medseg.models.registry import build_network
from medseg.prepare.card import ChannelCard, InputCard

SHAPE = (16, 14, 12)


@pytest.fixture
def package(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path / "home"))
    arguments = {"features": [4, 6], "encoder": "residual"}
    channels = (ChannelCard(name="T1", modality="MR"), ChannelCard(name="FLAIR", modality="MR"))
    card = tiny_card(
        classes=("a", "b"),
        input=InputCard(channels=channels, patch=(16, 16, 16)),
        network=NetworkCard(name="unet", dimensions=3, arguments=arguments),
    )
    torch.manual_seed(0)
    network = build_network("unet", channels=2, classes=card.n_outputs, dimensions=3, arguments=arguments)
    folder = tmp_path / "package"
    write_package(folder, card, network.state_dict())
    return folder


def write(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array.astype(np.float32), np.eye(4)), path)


def images():
    grid = np.indices(SHAPE).astype(float)
    t1 = 100 * np.sin(grid[0] / 3) + 10 * grid[1]
    return t1, 80 * np.cos(grid[2] / 2) - 5 * grid[0]


def segment(given, package, out):
    """As `medseg predict` does, in this process, which has loaded PyTorch already."""
    options = {"model": str(package), "device": "cpu", "engine": "torch", "anyway": True}
    how = RunOptions(isolate=False)
    return run_pipeline("batch-segmentation", [given], out, config="predict", values={"segment": options}, options=how)


def labels_of(result, case_id):
    return np.asanyarray(nib.load(result.out / case_id / "labels.nii.gz").dataobj)


def test_labels_are_those_of_the_file_that_holds_both_channels(tmp_path, package):
    t1, flair = images()
    write(tmp_path / "both.nii.gz", np.stack([t1, flair], -1))
    write(tmp_path / "folders" / "p1" / "T1.nii.gz", t1)
    write(tmp_path / "folders" / "p1" / "FLAIR.nii.gz", flair)
    write(tmp_path / "numbers" / "p1_0000.nii.gz", t1)
    write(tmp_path / "numbers" / "p1_0001.nii.gz", flair)
    (tmp_path / "cases.csv").write_text("case,FLAIR,T1\np1,folders/p1/FLAIR.nii.gz,folders/p1/T1.nii.gz\n")
    expected = labels_of(segment(tmp_path / "both.nii.gz", package, tmp_path / "out0"), "both")
    assert len(np.unique(expected)) > 1
    for number, given in enumerate(("folders", "numbers", "cases.csv"), start=1):
        result = segment(tmp_path / given, package, tmp_path / f"out{number}")
        assert [outcome.state for outcome in result.outcomes] == ["done"]
        assert np.array_equal(labels_of(result, "p1"), expected)
    status = json.loads((tmp_path / "out1" / "p1" / "status.json").read_text())
    assert status["notes"][0] == "Channels are T1: T1.nii.gz; FLAIR: FLAIR.nii.gz."
    with (tmp_path / "out1" / "sources.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert row["path"] == "p1"


def test_a_run_to_come_shows_which_file_is_which_channel(tmp_path, package, capsys):
    for name, array in zip(("T1", "FLAIR"), images(), strict=True):
        write(tmp_path / "scans" / "p1" / f"{name}.nii.gz", array)
        write(tmp_path / "scans" / "p2" / f"{name}.nii.gz", array)
    (tmp_path / "scans" / "p2" / "T1.nii.gz").unlink()
    run(["predict", str(tmp_path / "scans"), "-m", str(package), "-o", str(tmp_path / "out"), "--dry-run"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].endswith("T1: T1.nii.gz; FLAIR: FLAIR.nii.gz")
    assert "there is no scan for the channel T1; there are FLAIR.nii.gz" in shown[1]
