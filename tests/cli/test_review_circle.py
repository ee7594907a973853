"""The circle by the command line: labels in from another program, readers compared, corrections out."""

from __future__ import annotations

import json
import re

import pydicom
import pytest
from other_viewers import save_itksnap, save_ohif, save_slicer
from reviewed_dicom import make_dicom_results
from reviewed_results import edited, make_results

from medseg.cli.app import run
from medseg.review.opening import open_store


def test_two_readers_from_files_to_agreement(tmp_path, capsys):
    out = make_results(tmp_path, 3)
    with open_store(out, create=True) as store:
        for number, case in enumerate(store.cases()):
            labels = store.model_labels(case)
            save_itksnap(tmp_path / "Ada" / f"{case}.nii.gz", edited(labels, (0, 3, 3), 300))
            save_slicer(tmp_path / "Bob" / f"{case}.seg.nrrd", edited(labels, (number, 3, 3), 1))
    for name in ("Ada", "Bob"):
        command = ["review", "import", str(out), str(tmp_path / name), "--reviewer", name, "--blind", "--accept"]
        assert run(command) == 0
        lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
        assert [line[1:4] for line in lines] == [["imported", f"scan_{n}", "name"] for n in range(3)]
    assert run(["review", "agreement", str(out), "-o", str(tmp_path / "to"), "--n-bootstrap", "100"]) == 0
    assert "Ada and Bob; cases with labels of both: 3" in capsys.readouterr().out
    assert {path.name for path in (tmp_path / "to").iterdir()} >= {
        "agreement.csv", "volumes.csv", "summary.json", "report.html", "adjudication.csv",
    }  # fmt: skip
    assert run(["review", "agreement", str(out), "-o", str(tmp_path / "to"), "--reviewer", "Ann"]) == 2
    assert "--reviewer Ann" in capsys.readouterr().err
    assert run(["review", "verify", str(out)]) == 0


def test_what_is_refused_is_said_with_its_reason(tmp_path, capsys):
    out = make_results(tmp_path, 2)
    with open_store(out, create=True) as store:
        save_itksnap(tmp_path / "in/liver.nii.gz", store.model_labels("scan_0"))
    command = ["review", "import", str(out), str(tmp_path / "in"), "--reviewer", "Ada"]
    assert run(command) == 4
    said = capsys.readouterr()
    assert "lies on the grid of 2 cases" in said.out
    assert re.search(r"^A file was refused: .* \[E-input\]$", said.err, re.MULTILINE)
    assert run([*command, "--case", "scan_0", "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)
    assert (one["state"], one["case_id"], one["matched_by"]) == ("imported", "scan_0", "given")
    assert run([*command, "--class", "tumor"]) == 2
    assert "NAME=CLASS" in capsys.readouterr().err


def test_a_seg_of_ohif_goes_back_to_the_archive_as_semiautomatic(tmp_path, capsys):
    out, case, series = make_dicom_results(tmp_path)
    with open_store(out, create=True) as store:
        labels = edited(store.model_labels(case), (10, 9, 4), 300)
    save_ohif(tmp_path / "in/seg.dcm", labels, series)
    command = ["review", "import", str(out), str(tmp_path / "in"), "--reviewer", "Ada Lovelace", "--accept"]
    assert run(command) == 0
    capsys.readouterr()
    assert run(["review", "export", str(out), "-o", str(tmp_path / "to"), "-f", "dicom-seg,sr"]) == 0
    files = capsys.readouterr().out.split()
    assert [name.rpartition("/")[2] for name in files] == ["labels.seg.dcm", "labels.sr.dcm"]
    seg = pydicom.dcmread(files[0])
    assert [segment.SegmentAlgorithmType for segment in seg.SegmentSequence] == ["AUTOMATIC", "SEMIAUTOMATIC"]
    assert pydicom.dcmread(files[1]).VerificationFlag == "VERIFIED"


def test_a_dataset_needs_the_card_of_the_model(tmp_path, capsys):
    out = make_results(tmp_path, 1)
    with open_store(out, create=True) as store:
        saved = store.save_labels(
            "scan_0", edited(store.model_labels("scan_0"), (0, 3, 3), 1), who="Ada", expected=0, origin="test"
        )
        store.verdict("scan_0", kind="accept", revision=saved.number, who="Ada")
    assert run(["review", "export", str(out), "-o", str(tmp_path / "data")]) == 4
    assert "does not say which model" in capsys.readouterr().err


def test_an_export_of_nothing_says_why(tmp_path, capsys):
    out, _, _ = make_dicom_results(tmp_path)
    open_store(out, create=True).close()
    assert run(["review", "export", str(out), "-o", str(tmp_path / "files"), "--format", "nifti"]) == 4
    assert "accept some in medseg review first" in capsys.readouterr().err


@pytest.mark.slow
def test_from_the_demo_to_a_fine_tuned_model(tmp_path, capsys):
    """Predict, correct in another program, export, audit and train: the whole circle with the shipped model."""
    results = tmp_path / "demo"
    assert run(["demo", "--out", str(results)]) in (0, 3)
    with open_store(results, create=True) as store:
        for case in store.cases():
            labels = store.model_labels(case)
            voxel = tuple(int(n) // 2 for n in labels.geometry.shape)
            save_itksnap(tmp_path / "in" / f"{case}.nii.gz", edited(labels, voxel, 1))
    assert run(["review", "import", str(results), str(tmp_path / "in"), "--reviewer", "Ada", "--accept"]) == 0
    assert run(["review", "export", str(results), "-o", str(tmp_path / "data"), "-m", "hippocampus"]) == 0
    assert run(["audit", str(tmp_path / "data")]) == 0
    capsys.readouterr()
    code = run(["train", str(tmp_path / "data"), "--from", "hippocampus", "-o", str(tmp_path / "run"), "--epochs", "1",
                "--device", "cpu", "--set", "iterations_per_epoch=1", "--set", "sampling.batch=1",
                "--set", "tracking=false"])  # fmt: skip
    assert code == 0, capsys.readouterr().err
    assert (tmp_path / "run/model/model.yaml").is_file()
