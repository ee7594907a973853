"""A folder as bad as folders get: every good case is done, every bad file is named with its reason and the fix."""

import csv
import gzip
import json
import struct
from pathlib import Path

import nibabel as nib
import numpy as np

from medseg.engine import journal


def lying_header(shape: tuple[int, int, int]) -> bytes:
    """A NIfTI header that claims a shape, followed by a handful of voxels."""
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float64)
    header.set_data_shape(shape)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    return header.binaryblock + bytes(4) + bytes(1000)


def test_all_good_cases_are_done_and_each_bad_one_is_named(medseg, scans, quick, tmp_path):
    good = (scans / "research" / "left-hippocampus.nii.gz").read_bytes()
    folder = tmp_path / "mess"
    deep = folder / "a" / "b c" / "ünï"
    deep.mkdir(parents=True)
    (deep / "good one.nii.gz").write_bytes(good)
    (folder / "no-extension").write_bytes(gzip.decompress(good))
    noise = np.random.default_rng(0).bytes(5000)
    bad = {
        **dict.fromkeys(("empty.nii.gz", "empty.dcm"), b""),
        **dict.fromkeys(("noise.nii.gz", "noise.nii", "noise.dcm", "noise.nrrd", "noise.mha"), noise),
        "truncated.nii.gz": good[: len(good) * 2 // 3],
        "flipped-bits.nii.gz": good[:3000] + bytes([good[3000] ^ 0xFF]) + good[3001:],
        "lying.nii.gz": gzip.compress(lying_header((4000, 4000, 4000))),
        "lying.nii": lying_header((30000, 30000, 30000)),
        "negative.nii": lying_header((10, 10, 10))[:40] + struct.pack("<8h", 3, -5, 10, 10, 1, 1, 1, 1) + bytes(1296),
        "half-dicom.dcm": bytes(128) + b"DICM" + noise[:100],
    }
    others = {"readme.txt": b"hello", "Thumbs.db": noise, "report.pdf": b"%PDF-1.4 " + noise, "script.py": b"print(1)"}
    for name, content in (bad | others).items():
        (folder / name).write_bytes(content)
    (folder / "folder.nii.gz").mkdir()
    (folder / "loop").symlink_to(folder)

    out = tmp_path / "out"
    done = medseg("predict", folder, "--model", "hippocampus", "--out", out, "--format", "nifti", "--json", *quick)
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    assert {o["source"] for o in report["cases"] if o["state"] == "done"} == {"good one.nii.gz", "no-extension"}
    failed = [outcome for outcome in report["cases"] if outcome["state"] == "failed"]
    assert all(o["error"] and o["fix"] and o["case_id"] for o in failed)
    # Each has a case id of its own, a record, and a row in both tables; a DICOM file's name may be the patient's.
    assert len({o["case_id"] for o in report["cases"]}) == len(bad) + 2
    sources = {row["case_id"]: row for row in csv.DictReader((out / "sources.csv").open())}
    cases = {row["case_id"]: row for row in csv.DictReader((out / "cases.csv").open())}
    assert set(sources) == set(cases) == {o["case_id"] for o in report["cases"]}
    assert {sources[o["case_id"]]["path"] for o in failed} == set(bad)
    for o in failed:
        name = sources[o["case_id"]]["path"]
        status = json.loads((out / o["case_id"] / "status.json").read_text())
        assert status["state"] == cases[o["case_id"]]["state"] == sources[o["case_id"]]["state"] == "failed"
        assert sources[o["case_id"]]["input_sha256"] == journal.hash_files([folder / name])
        assert o["source"] == cases[o["case_id"]]["source"] == ("DICOM file" if name.endswith(".dcm") else name)
        assert ("dicom-" if name.endswith(".dcm") else name.partition(".")[0]) in o["case_id"]
    assert {Path(item["file"]).name for item in report["skipped"]} == set(others)
    assert all(item["reason"] for item in report["skipped"])
    shown = "".join((out / file).read_text() for file in ("cases.csv", "run.json", "report.html", "medseg.log"))
    for name in bad:
        for text in (done.stderr, shown):
            assert (name in text) is not name.endswith(".dcm")
    labels = [nib.load(path) for path in out.glob("*/labels.nii.gz")]
    assert len(labels) == 2
    assert all((np.asarray(image.dataobj) > 0).any() for image in labels)
