"""The main job, by the command line, on the shipped model and the scans of the demonstration."""

import csv
import json
import re
import subprocess
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from medseg.errors import page_of
from medseg.io.read import read_labels
from medseg.models.package import load_package

MODEL = "hippocampus"


@pytest.fixture(scope="module")
def results(
    medseg_process, scans: Path, quick, tmp_path_factory: pytest.TempPathFactory
) -> tuple[subprocess.CompletedProcess, Path]:
    out = tmp_path_factory.mktemp("predict") / "results"
    return medseg_process("predict", scans, "--model", MODEL, "--out", out, "--json", *quick), out


def case_of(out: Path, start: str) -> Path:
    [folder] = [path for path in out.iterdir() if path.is_dir() and path.name.startswith(start)]
    return folder


def test_wrong_usage_is_exit_code_2_with_the_fix(medseg, scans, tmp_path):
    for arguments, word in (
        ([scans, "--model", "nonesuch"], "hippocampus"),
        ([tmp_path / "absent", "--model", MODEL], "absent"),
        ([scans, "--model", MODEL, "--format", "jpeg"], "nifti"),
        ([scans, "--model", MODEL, "--set", "segment.overlop=1"], "overlap"),
        ([scans, "--model", MODEL, "--device", "cuda:99"], "cuda"),
    ):
        done = medseg("predict", *arguments, "--out", tmp_path / "out")
        assert done.returncode in (2, 4), (arguments, done.stderr)
        assert word in done.stderr
        assert "Traceback" not in done.stderr


def test_a_broken_file_fails_the_batch_in_part_and_is_named_with_its_fix(results):
    done, out = results
    assert done.returncode == 3, done.stderr
    assert f"{out / 'report.html'}; every step is in medseg.log beside it" in done.stderr
    assert re.search(r"interrupted-copy.*FAILED.*truncated.*\[E-input\]", done.stderr)
    assert "Traceback" not in done.stderr
    outcomes = json.loads(done.stdout)["cases"]
    assert sorted(o["state"] for o in outcomes) == ["done", "done", "failed"]
    assert all(o["fix"] for o in outcomes if o["state"] == "failed")


def test_what_is_no_scan_is_skipped_with_its_reason(results):
    done, _ = results
    skipped = {Path(item["file"]).name: item["reason"] for item in json.loads(done.stdout)["skipped"]}
    assert set(skipped) == {"IM9001", "notes.txt"}
    assert "localizer" in skipped["IM9001"].lower()


def test_labels_lie_on_the_scan_s_own_grid(results, scans):
    _, out = results
    source = nib.load(scans / "research" / "left-hippocampus.nii.gz")
    labels = nib.load(case_of(out, "left-hippocampus") / "labels.nii.gz")
    assert labels.shape == source.shape
    assert np.array_equal(labels.affine, source.affine)
    assert labels.get_data_dtype() == np.uint8
    assert labels.header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("start", ["left-hippocampus", "mr-"])
def test_both_hippocampi_are_found_with_plausible_volumes(results, start):
    _, out = results
    rows = list(csv.DictReader((case_of(out, start) / "measurements.csv").open()))
    volumes = {row["class"]: float(row["volume_ml"]) for row in rows}
    assert len(volumes) == 2
    # A hippocampus has 2.5 to 5 ml on each side, about half in head and half in body and tail.
    assert 1.5 < sum(volumes.values()) < 7
    assert min(volumes.values()) > 0.4
    assert all(int(row["voxels"]) * 0.001 == pytest.approx(float(row["volume_ml"]), rel=1e-3) for row in rows)


def test_a_volume_outside_the_training_data_s_range_is_warned_of(results):
    done, out = results
    [outcome] = [o for o in json.loads(done.stdout)["cases"] if o["case_id"] == "left-hippocampus"]
    ranges = load_package(MODEL).card.validation.volume_range_ml
    for row in csv.DictReader((case_of(out, "left-hippocampus") / "measurements.csv").open()):
        low, high = ranges[row["class"]]
        outside = not low <= float(row["volume_ml"]) <= high
        assert outside == any(text.startswith(f"{row['class']}: Volume") for text in outcome["warnings"])


def test_every_file_of_the_contract_is_there(results):
    _, out = results
    common = {"labels.nii.gz", "labels.tsv", "measurements.csv", "preview.png", "status.json"}
    assert {p.name for p in case_of(out, "left-hippocampus").iterdir()} == common
    assert {p.name for p in case_of(out, "mr-").iterdir()} == common | {"labels.seg.dcm"}
    assert {"cases.csv", "sources.csv", "run.json", "report.html", "medseg.log"} <= {p.name for p in out.iterdir()}
    run = json.loads((out / "run.json").read_text())
    assert re.fullmatch("[0-9a-f]{64}", run["steps"]["segment"]["model_sha256"])
    assert run["versions"]["torch"]
    page = (out / "report.html").read_text()
    assert "interrupted-copy" in page
    assert not re.search(r'src="https?:', page), "the report fetches nothing"
    leads_to = re.findall(r'<a href="(https?:[^"]+)"', page)
    assert leads_to == [page_of("E-input")] == re.findall(r'href="(https?:[^"]+)"', page)


def test_no_patient_identifier_leaves_the_scan(results):
    done, out = results
    texts = [done.stdout, done.stderr, *map(str, out.rglob("*"))]
    texts += [p.read_text() for p in out.rglob("*") if p.suffix in {".json", ".csv", ".html", ".log"}]
    assert not any("MNI152" in text or "TEMPLATE^" in text for text in texts)


def test_the_dicom_seg_reads_back_as_the_same_voxels_in_the_same_place(results):
    _, out = results
    folder = case_of(out, "mr-")
    nifti, seg = read_labels(folder / "labels.nii.gz"), read_labels(folder / "labels.seg.dcm")
    turn = nib.orientations.ornt_transform(*(nib.io_orientation(each.geometry.affine) for each in (seg, nifti)))
    turned = nib.orientations.apply_orientation(seg.array, turn)
    affine = seg.geometry.affine @ nib.orientations.inv_ornt_aff(turn, seg.array.shape)
    where = nib.affines.apply_affine(nifti.geometry.affine, np.argwhere(nifti.array > 0))
    assert nib.affines.apply_affine(affine, np.argwhere(turned > 0)) == pytest.approx(where, abs=1e-3)


def test_a_second_run_does_nothing_and_a_changed_option_does_all_again(results, medseg, scans, quick):
    _, out = results

    def times():
        return {p: p.stat().st_mtime_ns for p in out.glob("*/*") if "interrupted" not in str(p)}

    before = times()
    again = medseg("predict", scans, "--model", MODEL, "--out", out, *quick)
    assert again.returncode == 3
    states = [line.split("\t")[1] for line in again.stdout.splitlines()]
    assert sorted(states) == ["done (unchanged)", "done (unchanged)", "failed"]
    assert times() == before
    dry = medseg("predict", scans, "--model", MODEL, "--out", out, *quick, "--overlap", "0.3", "--dry-run")
    assert [line.split("\t")[1] for line in dry.stdout.splitlines()].count("pending") >= 2
    assert dry.returncode == 0


@pytest.mark.parametrize(
    ("rows", "code"), [(["../evil,a.nii"], 4), (["../evil,a.nii", "b,b.nii"], 3), (["b,b.nii"], 0)]
)
def test_a_dry_run_ends_with_the_code_that_its_cases_call_for(medseg, tmp_path, rows, code):
    (tmp_path / "cases.csv").write_text("\n".join(["case_id,path", *rows]))
    done = medseg("predict", "--manifest", tmp_path / "cases.csv", "-m", MODEL, "-o", tmp_path / "out", "--dry-run")
    assert done.returncode == code, done.stderr


def test_a_folder_without_scans_is_exit_code_4(medseg, tmp_path):
    (tmp_path / "readme.txt").write_text("nothing here")
    done = medseg("predict", tmp_path, "--model", MODEL, "--out", tmp_path / "out")
    assert done.returncode == 4
    assert "no scan was found" in done.stderr


def test_results_are_not_put_among_the_scans(medseg, tmp_path):
    (tmp_path / "scan.nii.gz").write_bytes(b"")
    done = medseg("predict", tmp_path, "--model", "hippocampus", "--out", tmp_path)
    assert done.returncode == 2
    assert "the output is the folder of the scans itself" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii.gz"]


def test_maps_are_saved_on_the_scan_s_grid_and_unknown_ones_refused(medseg, scans, quick, tmp_path):
    scan = scans / "research" / "left-hippocampus.nii.gz"
    done = medseg("predict", scan, "--model", MODEL, "--out", tmp_path, "--save", "probabilities,entropy", *quick)
    assert done.returncode == 0, done.stderr
    folder = case_of(tmp_path, "left-hippocampus")
    source, labels = nib.load(scan), nib.load(folder / "labels.nii.gz").get_fdata()
    probabilities, entropy = nib.load(folder / "probabilities.nii.gz"), nib.load(folder / "entropy.nii.gz")
    assert probabilities.shape == (*source.shape, 3)
    assert entropy.shape == source.shape
    assert np.array_equal(probabilities.affine, source.affine)
    shares = probabilities.get_fdata()
    assert np.abs(shares.sum(axis=3) - 1).max() < 0.01
    sure = np.sort(shares, axis=3)[..., -1] - np.sort(shares, axis=3)[..., -2] > 0.02
    assert (shares.argmax(axis=3) == labels)[sure].all()
    assert entropy.get_fdata()[sure].mean() < entropy.get_fdata()[~sure].mean()
    [row] = csv.DictReader((tmp_path / "cases.csv").open())
    measured = list(csv.DictReader((folder / "measurements.csv").open()))
    uncertainty = max(float(row["boundary_entropy"]) for row in measured)
    assert 0 < uncertainty < 1
    assert float(row["review_priority"]) % 1 == pytest.approx(uncertainty, abs=0.011)
    assert not [path for path in tmp_path.rglob(".medseg*") if path.suffix not in (".lock", ".json")]
    wrong = medseg("predict", scan, "--model", MODEL, "--out", tmp_path / "x", "--save", "logits")
    assert wrong.returncode == 2
    assert "probabilities, entropy" in wrong.stderr
