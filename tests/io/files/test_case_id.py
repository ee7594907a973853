"""Case ids: safe as folders everywhere, distinct, free of patients, the same in any order."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medseg.io.files.case_id import dicom_case_id, file_case_ids, safe, stem

names = st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=120)


@given(names)
def test_any_name_becomes_a_safe_one(name):
    made = safe(name)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", made)
    assert len(made) <= 80
    assert not made.endswith(".")
    assert made.split(".")[0].lower() not in ("con", "nul", "aux", "prn", "com1", "lpt9")
    assert made.lower() not in ("cases.csv", "run.json", "report.html")


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("hippocampus_001", "hippocampus_001"),
        ("T1 (copy) #2", "T1_copy_2"),
        ("Größe", "Groe"),
        ("..", "case-[0-9a-f]{8}"),
        ("-rf", "rf"),
        ("con", "case_con"),
        ("NUL.scan", r"case_NUL\.scan"),
        ("run.json", r"case_run\.json"),
        ("患者", "case-[0-9a-f]{8}"),
    ],
)
def test_examples(name, made):
    assert re.fullmatch(made, safe(name))


@pytest.mark.parametrize("suffix", [".nii.gz", ".nii", ".NII.GZ", ".seg.nrrd", ".nrrd", ".mha", ".png", ""])
def test_stem(suffix):
    assert stem(f"scan.v2{suffix}") == "scan.v2"


@pytest.mark.parametrize(
    ("paths", "ids"),
    [
        (["patient1/T1.nii.gz", "patient2/T1.nii.gz", "patient2/T2.nii.gz"], ["patient1_T1", "patient2_T1", "T2"]),
        (["a/x/T1.nii", "b/x/T1.nii", "b/y/T1.nii"], ["a_x_T1", "b_x_T1", "y_T1"]),
    ],
)
def test_shared_names_get_as_many_parents_as_it_takes(paths, ids):
    assert file_case_ids([Path("/d") / path for path in paths]) == ids


def test_hash_as_the_last_resort():
    ids = file_case_ids([Path("/d/scan.nii"), Path("/d/scan.nii.gz")])
    assert len(set(ids)) == 2
    assert all(re.fullmatch(r"d_scan-[0-9a-f]{8}", one) for one in ids)


def test_letter_case_alone_does_not_tell_apart():
    ids = file_case_ids([Path("/d/Scan.nii"), Path("/d/scan.nii")])
    assert len({one.lower() for one in ids}) == 2


paths = st.lists(
    st.tuples(
        st.sampled_from("abAB"),
        st.sampled_from(["T1", "t1", "T 1", "T_1", "x" * 90]),
        st.sampled_from([".nii", ".nrrd"]),
    ),
    unique=True,
    max_size=12,
)


@given(paths, st.randoms())
def test_distinct_in_any_order(parts, random):
    found = [Path("/d") / folder / f"{name}{suffix}" for folder, name, suffix in parts]
    ids = dict(zip(found, file_case_ids(found), strict=True))
    assert len({one.lower() for one in ids.values()}) == len(found)
    shuffled = list(found)
    random.shuffle(shuffled)
    assert dict(zip(shuffled, file_case_ids(shuffled), strict=True)) == ids


def test_dicom_ids_tell_nothing():
    assert re.fullmatch(r"mr-[0-9a-f]{10}", dicom_case_id("MR", "1.2.3"))
    assert dicom_case_id("MR", "1.2.3") != dicom_case_id("MR", "1.2.4")
    assert dicom_case_id("MR", "1.2.3", "a") != dicom_case_id("MR", "1.2.3")
    assert dicom_case_id("../..", "1/../2").startswith("dicom-")


def test_a_file_elsewhere_renames_only_those_that_share_a_name_with_it():
    folder = [Path(f"/d/a/{name}") for name in ("scan.nii", "scan.nii.gz", "other.nii", "x/T1.nii", "y/T1.nii")]
    before = dict(zip(folder, file_case_ids(folder), strict=True))
    more = [*folder, Path("/d/b/c/new.nii"), Path("/e/other.nii")]
    after = dict(zip(more, file_case_ids(more), strict=True))
    assert {path for path in folder if after[path] != before[path]} == {Path("/d/a/other.nii")}


def test_naming_costs_the_same_for_each_file_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in paths that the search for a common folder looks at, which is the same on every machine."""
    looked = 0
    common = os.path.commonpath

    def counted(paths):
        nonlocal looked
        paths = list(paths)
        looked += len(paths)
        return common(paths)

    monkeypatch.setattr(os.path, "commonpath", counted)
    for count in (500, 4000):
        looked = 0
        found = [Path(f"/d/p{n // 10}/a/b/c/T{n % 10}{end}") for n in range(count // 2) for end in (".nii", ".nrrd")]
        file_case_ids(found)
        assert 0 < looked <= count


def test_names_that_are_alike_but_for_their_ends_stay_distinct():
    stems = [f"{'long' * 19}{n}" for n in range(3)]
    found = [Path(f"/d/{name}{end}") for name in stems for end in (".nii", ".nrrd")]
    assert len(set(file_case_ids(found))) == len(found)
