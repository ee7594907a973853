import json

import numpy as np
from small_files import noise, volume

from medseg.cli.app import run
from medseg.data.audit import audit
from medseg.data.layouts import read_dataset
from medseg.data.patient_groups import group_by_patient
from medseg.review.audit import audit as audit_verb

SHAPE = (6, 5, 4)


def write(folder, names, spacing=(1.0, 1.0, 1.0)):
    for number, name in enumerate(names):
        labels = np.zeros(SHAPE, np.uint8)
        labels[1:3, 1:3, 1 + number % 2] = 1
        labels[5, number % 5, number % 4] = 3 if number else 0
        volume(folder / "images" / f"{name}.nii.gz", noise(SHAPE, number), spacing=(*spacing[:2], 1.0 + number))
        volume(folder / "labels" / f"{name}.nii.gz", labels, spacing=(*spacing[:2], 1.0 + number))
    return folder


def test_every_audit_says_what_it_read(tmp_path, capsys):
    write(tmp_path, [f"sub-{p}_ses-{s}" for p in (1, 2, 3) for s in (1, 2)])
    assert run(["audit", str(tmp_path), "--folds", "3"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[:7] == [
        "Channels: image.",
        "6 cases of 3 patients, by their names.",
        "Split: 4 train, 2 validation.",
        "Class 1 class-1: 24 voxels in 6 of 6 cases.",
        "Class 3 class-3: 5 voxels in 5 of 6 cases.",
        "Spacing: 1 x 1 x 1 to 1 x 1 x 6, median 1 x 1 x 3.5 mm.",
        "Size: 6 x 5 x 4 voxels.",
    ]
    assert run(["audit", str(tmp_path), "--folds", "3", "--json", "--out", str(tmp_path / "out")]) == 0
    summary = json.loads(capsys.readouterr().out)["summary"]
    assert (summary["patients"], summary["grouped_by"]) == (3, "names")
    assert summary["classes"][1] == {"name": "class-3", "value": 3, "voxels": 5, "cases": 5, "annotated": 6}
    assert summary["spacing"]["median"] == [1, 1, 3.5]
    assert "by their names" in (tmp_path / "out" / "audit.html").read_text()


def test_groups_can_be_another_persons_or_none(tmp_path):
    write(tmp_path, ["sub-1_ses-1", "sub-1_ses-2", "sub-2_ses-1", "sub-2_ses-2", "sub-3_ses-1", "sub-3_ses-2"])
    alone = audit_verb(tmp_path, settings=["split.group=none"])
    assert alone.summary.patients == 6
    by_visit = audit_verb(tmp_path, folds=2, settings=["split.group=ses-(.)"])
    assert (by_visit.summary.patients, by_visit.summary.grouped_by) == (2, "pattern")


def test_names_that_may_be_of_one_patient_are_a_finding(tmp_path):
    write(tmp_path, ["p1_slice1", "p1_slice2", "p1_slice3"])
    data = group_by_patient(read_dataset(tmp_path))
    (finding,) = audit(data).findings
    assert (finding.kind, finding.blocks) == ("one-patient", False)
    assert finding.message == "All 3 names begin with 'p1': if that is one patient, no case can be held out."


def test_one_label_under_two_images_of_a_patient_is_no_mistake(tmp_path):
    labels = np.zeros(SHAPE, np.uint8)
    labels[1:5, 1:5, :2] = 1
    for number, name in enumerate(["sub-1_T1w", "sub-1_T2w", "sub-2_T1w", "sub-2_T2w"]):
        volume(tmp_path / "images" / f"{name}.nii.gz", noise(SHAPE, number))
        volume(tmp_path / "labels" / f"{name}.nii.gz", np.roll(labels, int(name[4]), axis=2))
    found = audit(group_by_patient(read_dataset(tmp_path))).findings
    assert [(f.kind, f.blocks) for f in found] == [("shared-reference", False)] * 2
    assert {f.kind for f in audit(read_dataset(tmp_path)).findings} == {"same-reference"}
