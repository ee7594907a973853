"""The whole way by the command line: segmented, reviewed, segmented again."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
from review_process import Page
from review_server import WRITE, nifti

from medseg import resources
from medseg.cli.app import run
from medseg.demo.scans import lay_out

CASE = "left-hippocampus"


def contents(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_case_is_corrected_and_accepted_and_a_new_result_opens_it_again(tmp_path: Path, capsys, quick) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    lay_out(scans)
    scan = next(scans.rglob(f"{CASE}.nii.gz"))
    predict = ["predict", str(scan), "--model", "hippocampus", "--out", str(out), "--device", "cpu", "--quiet", *quick]
    assert run(predict) == 0
    before = contents(out / CASE)
    page = Page(out)
    page.come_in()
    about = page.case(CASE)
    assert about["card"]["name"] == "hippocampus"
    assert about["card"]["dice"]["anterior hippocampus"] > 0.8
    assert about["card"]["limits"]
    address = f"{page.at}/api/case/{CASE}"
    image = nib.Nifti1Image.from_bytes(page.session.get(f"{address}/labels", timeout=30).content)
    array = np.array(np.asanyarray(image.dataobj))
    array[3, 3, 3] = 2
    sent = {**WRITE, "If-Match": "0", "Content-Encoding": "gzip"}
    answer = page.session.put(f"{address}/labels", data=gzip.compress(nifti(array, image)), headers=sent, timeout=30)
    assert answer.json()["changed_voxels"] == 1
    given = {"kind": "accept", "revision": 1}
    assert page.session.post(f"{address}/verdict", json=given, headers=WRITE, timeout=30).status_code == 200
    assert page.stop() == 75
    assert contents(out / CASE) == before
    capsys.readouterr()
    assert run(["review", "status", str(out), "--json", "--quiet"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["counts"]["accepted"], found["corrected"]) == (1, 1)
    reviewed = contents(out / "review")
    assert run([*predict, "--overwrite"]) == 0
    assert run(["review", "status", str(out), "--quiet"]) == 0
    assert f"{CASE}\taccepted\t1\tAda\t" in capsys.readouterr().out  # the same labels
    other = tmp_path / "other"
    shutil.copytree(resources.models()["hippocampus"], other)
    card = (other / "model.yaml").read_text()
    assert card.count("value: 2\n") == 1
    (other / "model.yaml").write_text(card.replace("value: 2\n", "value: 3\n"))
    predict[3] = str(other)
    assert run(predict) == 0
    assert contents(out / CASE)["labels.nii.gz"] != before["labels.nii.gz"]
    assert contents(out / "review") == reviewed
    capsys.readouterr()
    assert run(["review", "status", str(out), "--quiet"]) == 0
    assert f"{CASE}\topen, model changed\t1\tAda\t" in capsys.readouterr().out
    assert run(["review", "verify", str(out)]) == 0
    # What was drawn keeps its meaning, though the class has another value now.
    page = Page(out)
    page.come_in()
    found = {entry["name"]: entry["value"] for entry in page.case(CASE)["classes"]}
    assert found == {"anterior hippocampus": 1, "posterior hippocampus": 3}
    answer = page.session.get(f"{page.at}/api/case/{CASE}/labels", timeout=30)
    again = np.asanyarray(nib.Nifti1Image.from_bytes(answer.content).dataobj)
    assert again[3, 3, 3] == 3
    assert np.array_equal(again > 0, array > 0)
    page.stop()
