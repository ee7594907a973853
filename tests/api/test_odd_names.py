"""The search for scans under whatever file names and links a disk holds, by the stage and with its records."""

import json
import logging
import os
import sys

import nibabel as nib
import numpy as np
import pytest

import medseg
from medseg.engine.journal import STATUS_FILE


@pytest.mark.skipif(sys.platform != "linux", reason="the file system takes no such names")
def test_a_link_in_a_circle_and_a_name_that_is_no_utf_8_cost_no_other_case(tmp_path, monkeypatch):
    # What pytest captures of the log must be UTF-8 where several processes run the tests.
    monkeypatch.setattr(logging.getLogger("medseg"), "propagate", False)
    scans = tmp_path / "in"
    scans.mkdir()
    (scans / "loop.nii.gz").symlink_to("loop.nii.gz")
    odd = os.fsdecode(b"M\xfcller.nii.gz")
    for name in ("a.nii.gz", odd):  # constant, so that the model withholds them before its network runs
        nib.save(nib.Nifti1Image(np.full((36, 50, 36), 7, np.int16), np.eye(4)), scans / name)
    result = medseg.predict(scans, "hippocampus", tmp_path / "out")
    assert sorted(outcome.state for outcome in result.outcomes) == ["failed", "withheld", "withheld"]
    (loop,) = [outcome for outcome in result.outcomes if outcome.state == "failed"]
    assert "Too many levels of symbolic links" in str(loop.error)
    records = [json.loads((o.folder / STATUS_FILE).read_text()) for o in result.outcomes if o.folder]
    assert odd in {record["source"] for record in records}
    assert {"cases.csv", "sources.csv", "run.json", "report.html"} <= {p.name for p in (tmp_path / "out").iterdir()}
