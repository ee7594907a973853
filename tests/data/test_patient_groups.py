from pathlib import Path

import pytest

from medseg.data.dataset import Channel, Dataset, DatasetCase
from medseg.data.patient_groups import group_by_patient, patient_of, patients
from medseg.data.splits import split_cases
from medseg.errors import ConfigError
from medseg.types import LabelClass, LabelTable


def dataset(*names, group=None, split=None):
    cases = tuple(DatasetCase(name, (Path(name),), Path(name), group, split) for name in names)
    return Dataset("x", Path(), "pairs", (Channel("a"),), LabelTable((LabelClass(1, "a"),)), cases)


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("sub-07_ses-2_T1w", "sub-07"),
        ("sub-abc1_run-01", "sub-abc1"),
        ("patient000_slice003", "patient000"),
        ("Patient-12_03", "Patient-12"),
        ("P0_S1", "P0"),
        ("case_001_t1", "case_001"),
        ("BraTS20_Training_001_flair", "BraTS20_Training_001"),
        ("MR_12_ED", "MR_12"),
        ("vol4_slice_17", "vol4"),
        ("A17.left", "A17"),
        ("knee9_L", "knee9"),
        ("anna_t1", "anna"),
        ("P3_v2_ax", "P3"),
        ("MR-23_20190301", "MR-23"),
        ("ADNI_941_M12", "ADNI_941"),
        ("NCT-12-T0", "NCT-12"),
        ("TCGA-CS-4941_3", "TCGA-CS-4941"),
        ("TCGA_CS_4941_19960909_12", "TCGA_CS_4941"),
        ("tcga-dj-a13w-01z", "tcga-dj-a13w"),
        ("P001_axial_0003", "P001"),
        ("MR5_flair_12", "MR5"),
        ("002_S_0295_I13722", "002_S_0295"),
        ("OAS1_0001_MR2", "OAS1_0001"),
        ("UCSF-PDGM-0004_FU003d", "UCSF-PDGM-0004"),
        ("AB12_2020-01-31", "AB12"),
        ("001_SA_ED", "001"),
        ("slide12_x100_y200", "slide12"),
        ("slide12_tile_100_200", "slide12"),
        # Nothing of these is known to be of one scan only.
        ("hippocampus_001", "hippocampus_001"),
        ("case_001", "case_001"),
        ("slice_003", "slice_003"),
        ("img_0001", "img_0001"),
        ("scan_20190301", "scan_20190301"),
        ("x7_20194599", "x7_20194599"),
        ("volume_slice_3", "volume_slice_3"),
        ("LIDC-IDRI-0001", "LIDC-IDRI-0001"),
        ("c0", "c0"),
        ("BRATS_flair_001", "BRATS_flair_001"),
        ("tcga_001", "tcga_001"),
    ],
)
def test_the_patient_is_the_common_part_of_a_name(name, patient):
    assert patient_of(name) == patient


def test_cases_of_a_patient_stay_together():
    data = group_by_patient(dataset(*(f"sub-{p:02}_ses-{s}" for p in range(8) for s in (1, 2, 3)), "sub-99_ses-1"))
    assert (data.grouped_by, patients(data)) == ("names", 9)
    assert {case.group for case in data.cases} == {f"sub-{p:02}" for p in range(8)} | {None}
    for fold in range(4):
        split = split_cases(data.labeled, folds=4, fold=fold, seed=0)
        assert {name[:6] for name in split.train}.isdisjoint(name[:6] for name in split.validation)


@pytest.mark.parametrize(
    ("name", "patient"),
    [
        ("{:03}_{}", "{:03}"),
        ("{:08}_00{}", "{:08}"),
        ("BraTS-GLI-{:05}-00{}", "BraTS-GLI-{:05}"),
        ("DU{:02}_s{}", "DU{:02}"),
        ("P{} ({})", "P{}"),
    ],
)
def test_counters_behind_the_numbers_of_patients_are_told_by_all_names_together(name, patient):
    data = group_by_patient(dataset(*(name.format(p, scan) for p in range(6) for scan in (1, 2))))
    assert {case.group for case in data.cases} == {patient.format(p) for p in range(6)}


@pytest.mark.parametrize(
    ("name", "scans", "patients"),
    [
        ("{}_{}", ("art", "ven", "nativ"), ("001", "002", "003")),
        ("{}_{}", ("BL", "FU1"), ("Mueller", "Wolf", "Klein", "Weber", "Schmidt")),
        ("{}_{}", ("20190112", "20200301"), ("Mueller", "Wolf", "Klein", "Weber", "Schmidt")),
        ("{1}_hip_{0}", ("left", "right"), ("01", "02")),
        ("{1}_{0}", ("baseline", "followup"), ("001", "002")),
        ("{1}_{0}", ("T1", "T2"), ("001", "002")),
        ("topcow_{1}_{0}", ("ct", "mr"), ("001", "002")),
        ("{1}_{0}", ("2021-01-12", "2021-03-04"), ("pat00", "pat01")),
    ],
)
def test_scans_of_a_patient_are_told_apart_by_a_word_anywhere(name, scans, patients):
    names = {name.format(patient, scan): patient for patient in patients for scan in scans}
    groups = {case.case_id: case.group for case in group_by_patient(dataset(*names)).cases}
    assert all(group is not None and group.endswith(names[case]) for case, group in groups.items())
    assert len(set(groups.values())) == len(patients)


def test_both_eyes_of_a_person_are_of_one_patient():
    data = group_by_patient(dataset("Image_01L", "Image_01R", "Image_02L", "Image_02R", "Image_03R"))
    assert [case.group for case in data.cases] == ["Image_01", "Image_01", "Image_02", "Image_02", None]


@pytest.mark.parametrize(
    "data",
    [
        dataset(*(f"site{s}_{n:03}" for s in range(6) for n in range(4))),
        dataset(*(f"20{y}_{n:03}" for y in range(14, 20) for n in range(4))),
        dataset(*(f"BraTS20_Training_{n:03}" for n in range(9))),  # one beginning: of the release
        dataset("case_1", "case_2", "case_3"),
        dataset("T1_001", "T1_002", "T2_003", "T2_004"),  # another patient in each
        dataset("scan_20190301", "scan_20190302"),
        dataset("vol4_slice_1", "vol4_slice_2"),  # one patient could not be split, which the audit says
        dataset("sub-1_t1", "sub-1_t2", "sub-2_t1", group="x"),
    ],
)
def test_names_change_nothing_where_they_say_nothing_or_the_dataset_says_more(data):
    assert group_by_patient(data) is data


def test_a_person_says_what_names_a_patient():
    data = dataset("xa01q", "xa02q", "xb01q")
    assert group_by_patient(data) is data
    by_pattern = group_by_patient(data, "x([ab])")
    assert [case.group for case in by_pattern.cases] == ["a", "a", None]
    assert by_pattern.grouped_by == "pattern"
    assert [case.group for case in group_by_patient(data, "^x.").cases] == ["xa", "xa", None]
    alone = group_by_patient(dataset("sub-1_t1", "sub-1_t2", group="x"), "none")
    assert {case.group for case in alone.cases} == {None}
    with pytest.raises(ConfigError, match="'xb01q' does not match"):
        group_by_patient(data, "xa")
