"""File names that look like a patient's are hashed in case ids and reports; ordinary ids stay as they are."""

import json

import nibabel as nib
import numpy as np
import pytest

from medseg.cli.app import run
from medseg.engine.outcomes import explained, pending
from medseg.errors import InputError
from medseg.evaluation.files.pairing import pair_cases
from medseg.io.discover import discover
from medseg.io.files.case_id import file_case_ids
from medseg.io.files.patient_names import names_a_patient, public_name

NAMES = [
    "DOE^JANE", "Doe^Jane^^Dr", "Doe, Jane", "doe,jane", "Last_First_19500101", "Doe_Jane", "Doe Jane", "Doe_Jane_CT",
    "MILLER_ANNA", "MILLER_ANNA_T1", "Müller_Jörg", "O'Neil_Mary", "Smith-Jones_Ann_flair", "doe_jane_1950",
    "doe_jane_471188", "CT_Zebrowski_Quentin", "19500101", "ct_19500101", "1950-01-01", "01.01.1950", "scan-01011950",
    "MRN0047115", "mrn_12345", "PID 4711", "patient_id_4711", "4711002", "case_12345678", "541930257111",
]  # fmt: skip
ORDINARY = [
    "hippocampus_001", "case_12", "sub-01_ses-2", "sub-strip01_ses-pre_T1w", "BraTS20_Training_001_flair", "la_003",
    "LIDC-IDRI-0001", "BDMAP_00000001", "ISIC_0024306", "IXI002-Guys-0828-T1", "amos_0001", "s0011", "Chest_CT",
    "liver_tumor", "Left_Lung", "Task04_Hippocampus", "OAS1_0001_MR1_mpr_n4_anon_111_t88_gfc", "100307", "volume-12",
    "FLARE22_Tr_0001", "KiTS_00012", "verse004", "STS_001", "Head_Neck_T1", "TCGA-02-0006", "img0001", "scan", "a",
    "ct-3f9a12bc45", "P-d5cdf265876e", "file-0123456789", "icbm152_2009c_sym", "phantom_axial", "2024", "Test_Case_7",
    "T1_T2_FLAIR", "MR_PET", "",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_what_looks_like_a_patient_is_hashed(name):
    assert names_a_patient(name)
    hashed = public_name(name)
    assert hashed.startswith("file-")
    assert hashed == public_name(name) != public_name(name + "x")
    assert not any(part in hashed.lower() for part in name.lower().replace("_", " ").split() if len(part) > 2)


@pytest.mark.parametrize("name", [name for name in ORDINARY if name != "file-0123456789"])
def test_ordinary_ids_stay(name):
    assert public_name(name) == name


def test_folders_that_distinguish_files_are_hashed_too(tmp_path):
    paths = [tmp_path / folder / "scan.nii.gz" for folder in ("Doe_Jane", "Roe_Rich", "case_3")]
    ids = file_case_ids(paths)
    assert ids == [f"{public_name('Doe_Jane')}_scan", f"{public_name('Roe_Rich')}_scan", "case_3_scan"]
    assert file_case_ids(paths, keep_names=True) == ["Doe_Jane_scan", "Roe_Rich_scan", "case_3_scan"]


def image(path, values=0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.full((5, 6, 7), values, np.uint8) + np.arange(7, dtype=np.uint8), np.eye(4)), path)


def test_results_never_call_the_file_by_its_name(tmp_path):
    image(tmp_path / "in" / "Doe_Jane_19500101.nii.gz")
    (tmp_path / "in" / "Roe_Rich_19600202.nii.gz").write_bytes(b"broken")
    found = discover([tmp_path / "in"])
    base = pending(found.found[0], tmp_path)
    (broken,) = [left for left in found.skipped if left.corrupt]
    told = [
        base,
        explained(base, InputError("it is damaged", where=found.found[0].files[0])),
        broken.case_id,
        broken.source,
    ]
    assert not any(word in str(told).replace(str(tmp_path), "") for word in ("Doe", "Jane", "1950", "Roe", "1960"))
    assert base.source == f"{base.case_id}.nii.gz"
    kept = discover([tmp_path / "in"], keep_names=True)
    assert kept.found[0].case_id == "Doe_Jane_19500101"
    assert pending(kept.found[0], tmp_path).source == "Doe_Jane_19500101.nii.gz"


def test_convert_hashes_unless_asked(tmp_path, capsys):
    image(tmp_path / "in" / "Doe_Jane_19500101.nii.gz")
    image(tmp_path / "in" / "case_12.nii.gz")
    for options, ids in (
        ([], {public_name("Doe_Jane_19500101"), "case_12"}),
        (["--keep-names"], {"Doe_Jane_19500101", "case_12"}),
    ):
        out = tmp_path / f"out{len(options)}"
        assert run(["convert", str(tmp_path / "in"), "--out", str(out), *options]) == 0
        assert {path.name for path in out.iterdir() if path.is_dir()} == ids
    record = (tmp_path / "out0" / public_name("Doe_Jane_19500101") / "conversion.json").read_text()
    assert json.loads(record)["files"]
    assert "Doe" not in record


def test_hashed_predictions_find_their_references(tmp_path):
    image(tmp_path / "references" / "Doe_Jane_19500101.nii.gz")
    image(tmp_path / "predictions" / public_name("Doe_Jane_19500101") / "labels.nii.gz")
    (pair,) = pair_cases(tmp_path / "predictions", tmp_path / "references").pairs
    assert pair.case_id == public_name("Doe_Jane_19500101")
    image(tmp_path / "flat" / "Doe_Jane_19500101.nii.gz")
    for keep, case_id in ((False, public_name("Doe_Jane_19500101")), (True, "Doe_Jane_19500101")):
        (pair,) = pair_cases(tmp_path / "flat", tmp_path / "references", keep_names=keep).pairs
        assert pair.case_id == case_id
