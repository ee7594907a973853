"""Growth with known truth under a known rigid motion, on grids of their own."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from moved_lesions import LESIONS, SPACING, Ball, grid, labels_at, motion, write_dicom_pair, write_pair
from peer_tools import dicom_errors
from reviewed_results import make_results

import medseg
from medseg.io.dicom_results.sr_follow_up import read_volumes
from medseg.longitudinal.alignment import NotComparable
from medseg.longitudinal.time_point_files import _day
from medseg.review.opening import open_store
from medseg.types import LabelMap


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return write_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def followed(pair, tmp_path_factory):
    out = tmp_path_factory.mktemp("followed")
    return medseg.follow(pair.before, pair.after, out, scans=pair.scans), out


def test_each_lesion_is_what_became_of_it(followed):
    found, _ = followed
    assert found.counts == {"new": 1, "gone": 1, "grown": 1, "shrunk": 1, "unchanged": 1}
    for one in found.objects:
        truth = LESIONS[one.match if one.match in LESIONS else one.change]
        assert np.linalg.norm(np.array(one.place_mm) - truth.center) < 1.0, one


def test_the_motion_is_found(followed):
    found, _ = followed
    corners = np.array(np.meshgrid(*[(-35.0, 35.0)] * 3)).reshape(3, -1).T
    ours, truth = np.linalg.inv(found.alignment.matrix), motion()
    off = (corners @ ours[:3, :3].T + ours[:3, 3]) - (corners @ truth[:3, :3].T + truth[:3, 3])
    assert np.linalg.norm(off, axis=1).max() < 1.0


def test_volumes_are_counted_on_each_grid_and_hold_the_truth(followed, pair):
    found, _ = followed
    for path, ml in ((pair.before, "before_ml"), (pair.after, "after_ml")):
        labels = nib.load(path)
        counted = np.count_nonzero(np.asanyarray(labels.dataobj)) * np.prod(labels.header.get_zooms()) / 1000
        (size,) = (one.size for one in found.classes)
        assert getattr(size, ml) == pytest.approx(counted)
        assert sum(getattr(one.size, ml) for one in found.objects) == pytest.approx(counted)
    for one in found.objects:
        truth = LESIONS[one.match if one.match in LESIONS else one.change]
        for radius, (low, high) in (
            (truth.before, one.size.before_interval_ml),
            (truth.after, one.size.after_interval_ml),
        ):
            assert low <= 4 / 3 * np.pi * radius**3 / 1000 <= high


def test_diameters_are_those_of_the_balls(followed):
    found, _ = followed
    for one in found.objects:
        truth = LESIONS[one.match if one.match in LESIONS else one.change]
        for radius, after in ((truth.before, False), (truth.after, True)):
            assert one.long_mm(after=after) == pytest.approx(2 * radius, abs=2.5)
            assert one.short_mm(after=after) <= one.long_mm(after=after)


def test_what_is_left_in_the_folder(followed):
    found, out = followed
    assert sorted(path.name for path in out.iterdir()) == ["follow.csv", "follow.html", "follow.json"]
    rows = list(csv.DictReader((out / "follow.csv").open()))
    assert [row["row"] for row in rows] == ["class"] + ["object"] * 5
    assert sum(float(row["after_ml"]) for row in rows[1:]) == pytest.approx(float(rows[0]["after_ml"]), rel=1e-4)
    content = json.loads((out / "follow.json").read_text())
    assert content["counts"] == found.counts
    page = (out / "follow.html").read_text()
    assert page.count("data:image/") == 1 + 4  # an overview and what changed
    assert "no response assessment" in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.slow
def test_the_same_files_are_made_again(followed, pair, tmp_path):
    _, out = followed
    medseg.follow(pair.before, pair.after, tmp_path, scans=pair.scans)
    for path in out.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_a_new_lesion_is_progress_by_recist(followed):
    found, _ = followed
    assert found.response.category == "progressive"
    assert found.response.new == 1
    assert len(found.response.targets) == 2  # of one class


def write_labels(path: Path, balls, *, spacing=SPACING) -> Path:
    from moved_lesions import labels_at, world_of

    geometry = grid(spacing)
    nib.save(nib.Nifti1Image(labels_at(world_of(geometry), balls, after=False), geometry.affine), path)
    return path


def test_lesions_that_split_and_merge(tmp_path):
    left, right = Ball((-20.0, 0.0, 0.0), 6.0, 0.0), Ball((2.0, 0.0, 0.0), 6.0, 0.0)
    bridge = Ball((-9.0, 0.0, 0.0), 8.0, 0.0)
    one = write_labels(tmp_path / "one.nii.gz", [left, bridge, right])
    two = write_labels(tmp_path / "two.nii.gz", [left, right])
    split = medseg.follow(one, two, tmp_path / "split", registered=True)
    merged = medseg.follow(two, one, tmp_path / "merged", registered=True)
    assert split.counts == {"split": 1}
    assert merged.counts == {"merged": 1}
    (a,), (b,) = split.objects, merged.objects
    assert (len(a.before), len(a.after), len(b.before), len(b.after)) == (1, 2, 2, 1)
    assert a.size.difference_ml == pytest.approx(-b.size.difference_ml)


def test_a_lesion_that_is_nearly_cut_through_is_one(tmp_path):
    whole = nib.load(write_labels(tmp_path / "whole.nii.gz", [Ball((0.0, 0.0, 0.0), 12.0, 0.0)]))
    for width, counts in ((1, {"unchanged": 1}), (4, {"split": 1})):
        array = np.asanyarray(whole.dataobj).copy()
        array[:, 32 : 32 + width] = 0
        nib.save(nib.Nifti1Image(array, whole.affine), tmp_path / "cut.nii.gz")
        found = medseg.follow(tmp_path / "whole.nii.gz", tmp_path / "cut.nii.gz", tmp_path / "out", registered=True)
        assert found.counts == counts
        assert [len(one.after) for one in found.objects] == [2]


def test_what_the_other_scan_does_not_show_is_neither_new_nor_gone(tmp_path):
    ball = Ball((0.0, 0.0, 40.0), 6.0, 0.0)
    whole = write_labels(tmp_path / "whole.nii.gz", [ball])
    image = nib.load(write_labels(tmp_path / "part.nii.gz", []))
    nib.save(image.slicer[:, :, :30], tmp_path / "lower.nii.gz")
    found = medseg.follow(whole, tmp_path / "lower.nii.gz", tmp_path / "out", registered=True)
    assert found.counts == {"not covered": 1}
    assert found.response.category is None
    assert any(": the change of the class's volume" in text for text in found.warnings)


def test_a_lesion_of_one_voxel_is_too_small_to_be_sure(tmp_path):
    none = write_labels(tmp_path / "none.nii.gz", [])
    one = nib.load(none)
    array = np.asanyarray(one.dataobj).copy()
    array[20, 20, 20] = 1
    nib.save(nib.Nifti1Image(array, one.affine), tmp_path / "one.nii.gz")
    found = medseg.follow(none, tmp_path / "one.nii.gz", tmp_path / "out", registered=True)
    (new,) = found.objects
    assert (new.match, new.is_certain) == ("new", False)
    assert found.response.new == 0


@pytest.mark.parametrize("off", [(0.0, 0.0, 0.0), (2.0, 1.5, 0.0)])
def test_tiny_lesions_are_found_again_next_to_where_they_were(tmp_path, off):
    paths = []
    for name, shift in (("before", np.zeros(3)), ("after", np.array(off))):
        empty = nib.load(write_labels(tmp_path / f"{name}.nii.gz", []))
        affine = empty.affine.copy()
        affine[:3, 3] += shift
        array = np.zeros(empty.shape, np.uint8)
        array[[10, 30], [12, 40], [9, 31]] = 1
        paths.append(tmp_path / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(array, affine), paths[-1])
    assert medseg.follow(*paths, tmp_path / "out", registered=True).counts == {"unchanged": 2}


def test_sides_are_compared(tmp_path):
    paths = []
    for name, extra in (("before", 0), ("after", 12)):
        array = np.zeros((40, 30, 20), np.uint8)
        array[4:14, 4:14, 4:14] = 1
        array[22 : 32 - extra // 2, 4:14, 4:14] = 2
        paths.append(tmp_path / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(array, np.eye(4)), paths[-1])
        (tmp_path / f"{name}.tsv").write_text("index\tname\n1\tleft kidney\n2\tright kidney\n")
    found = medseg.follow(*paths, tmp_path / "out", registered=True)
    (sides,) = found.asymmetries
    assert (sides.left, sides.right, sides.before) == ("left kidney", "right kidney", 0.0)
    assert sides.after == pytest.approx(200 * (1000 - 400) / 1400)


def test_scans_that_cannot_be_brought_together_are_withheld(tmp_path):
    for number, name in enumerate(("before", "after")):
        noise = np.random.default_rng(number).normal(100, 30, (20, 20, 20)).astype(np.float32)
        nib.save(nib.Nifti1Image(noise, np.eye(4)), tmp_path / f"{name}-noise.nii.gz")
        nib.save(nib.Nifti1Image((noise > 180).astype(np.uint8), np.eye(4)), tmp_path / f"{name}.nii.gz")
    labels = [tmp_path / f"{name}.nii.gz" for name in ("before", "after")]
    scans = [tmp_path / f"{name}-noise.nii.gz" for name in ("before", "after")]
    with pytest.raises(NotComparable, match="could not be brought into one space with certainty") as raised:
        medseg.follow(*labels, tmp_path / "out", scans=scans)
    assert raised.value.exit_code == 3
    assert not (tmp_path / "out").exists()


def test_wrong_use_is_answered(pair, tmp_path):
    with pytest.raises(medseg.UsageError, match="given twice"):
        medseg.follow(pair.before, pair.before, tmp_path / "out")
    with pytest.raises(medseg.InputError, match="needed to register"):
        medseg.follow(pair.before, pair.after, tmp_path / "out")
    with pytest.raises(medseg.UsageError, match="no class has the name 'tumor'"):
        medseg.follow(pair.before, pair.after, tmp_path / "out", classes="tumor", registered=True)
    with pytest.raises(medseg.UsageError, match="no case's folder of results"):
        medseg.follow(tmp_path, pair.after, tmp_path / "out")


def test_days_that_are_none():
    assert _day("20240230") is None
    assert _day("") is None


@pytest.fixture(scope="module")
def dicom(tmp_path_factory):
    def edit(header, after):
        header.StudyDate = header.SeriesDate = header.AcquisitionDate = "20240301" if after else "20240101"
        header.StudyInstanceUID = f"2.25.{2 if after else 1}"

    folder = tmp_path_factory.mktemp("dicom")
    made = write_dicom_pair(folder, tuple(LESIONS.values()), edit=edit)
    found = medseg.follow(made.before, made.after, folder / "out", scans=made.scans, registered=True)
    return made, found, folder / "out"


def test_dicom_scans_give_days_and_one_report_with_both(dicom):
    _, found, out = dicom
    assert found.days == 60
    assert found.counts == {"new": 1, "gone": 1, "grown": 1, "shrunk": 1, "unchanged": 1}
    volumes = read_volumes(out / "follow.sr.dcm")
    stated = sorted(volumes.values())
    whole = [ml for one in found.classes for ml in (one.size.before_ml, one.size.after_ml)]
    parts = [p.volume_ml for one in found.objects for p in (*one.before, *one.after)]
    assert stated == pytest.approx(sorted([*whole, *parts]), rel=1e-5)
    by_uid = {uid: {time for other, time in volumes if other == uid} for uid, _ in volumes}
    assert sorted(map(len, by_uid.values())) == [1, 1, 2, 2, 2, 2]  # what is new or gone is there once


def test_no_identifier_is_in_any_file(dicom):
    made, _, out = dicom
    import pydicom

    header = pydicom.dcmread(next(made.scans[0].iterdir()))
    for path in out.glob("follow.[chj]*"):
        text = path.read_text()
        for secret in (str(header.PatientID), str(header.PatientName), "20240101", "2024-01-01"):
            assert secret not in text


@pytest.mark.peers
def test_dciodvfy_finds_no_error_in_the_report(dicom):
    _, _, out = dicom
    assert dicom_errors(out / "follow.sr.dcm") == []


def test_scans_of_two_patients_are_refused_and_dates_the_other_way_round_said(dicom, tmp_path):
    made, _, _ = dicom
    turned = medseg.follow(
        made.after, made.before, tmp_path / "turned", scans=[made.scans[1], made.scans[0]], registered=True
    )
    assert turned.days == -60
    assert any("the second scan is 60 days earlier" in text for text in turned.warnings)
    import pydicom

    for path in made.scans[1].iterdir():
        other = pydicom.dcmread(path)
        other.PatientID = "somebody else"
        (tmp_path / "other").mkdir(exist_ok=True)
        other.save_as(tmp_path / "other" / path.name)
    with pytest.raises(medseg.InputError, match="two patients") as raised:
        medseg.follow(made.before, made.after, tmp_path / "out", scans=[made.scans[0], tmp_path / "other"])
    assert "somebody" not in str(raised.value)


def test_results_are_followed_as_they_were_accepted(tmp_path):
    out = make_results(tmp_path)
    cases = out / "scan_0", out / "scan_1"
    found = medseg.follow(*cases, tmp_path / "first", registered=True)
    assert found.cases == ("scan_0", "scan_1")
    assert [one.class_name for one in found.classes] == ["liver", "lesion", "cyst"]
    assert {one.size.verdict for one in found.classes if one.class_name != "cyst"} == {"unchanged"}
    with open_store(out, create=True) as store:
        array = store.model_labels("scan_1").array.copy()
        array[array == 1] = 0
        labels = store.model_labels("scan_1")
        corrected = LabelMap(array, labels.geometry, labels.table)
        saved = store.save_labels("scan_1", corrected, who="A. Reader", expected=0, origin="test")
        store.verdict("scan_1", kind="accept", who="A. Reader", revision=saved.number)
    again = medseg.follow(*cases, tmp_path / "again", registered=True)
    assert {one.class_name: one.size.after_ml for one in again.classes}["liver"] == 0
    assert "scan_1: the labels are those that were accepted in the review." in again.notes


def test_only_lesions_have_sums_of_diameters(tmp_path):
    paths = []
    for name in ("before", "after"):
        array = np.zeros((40, 30, 20), np.uint8)
        array[4:20, 4:14, 4:14] = 1
        paths.append(tmp_path / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(array, np.eye(4)), paths[-1])
        (tmp_path / f"{name}.tsv").write_text("index\tname\n1\tkidney\n")
    organ = medseg.follow(*paths, tmp_path / "organ", registered=True)
    assert "no lesions" in organ.response.sentence
    chosen = medseg.follow(*paths, tmp_path / "chosen", registered=True, classes="kidney")
    assert chosen.response.category == "stable"


def test_labels_as_dicom_segmentations(dicom, tmp_path):
    made, found, _ = dicom
    for name, labels, scan in zip("ab", (made.before, made.after), made.scans, strict=True):
        medseg.export(labels, tmp_path / name, format="dicom-seg", source=scan, manual=True)
    paths = [tmp_path / name / "labels.seg.dcm" for name in "ab"]
    again = medseg.follow(*paths, tmp_path / "out", scans=made.scans, registered=True)
    volumes = [one.size.after_ml for one in found.classes]
    assert [one.size.after_ml for one in again.classes] == pytest.approx(volumes, rel=1e-6)


def test_a_class_has_the_interval_of_the_models_card(tmp_path):
    out = make_results(tmp_path)
    for case in ("scan_0", "scan_1"):
        path = out / case / "status.json"
        content = json.loads(path.read_text())
        liver = content["volumes"]["liver"]
        liver["interval"] = {"low": 0.0, "high": liver["volume_ml"] + 3.0, "level": 0.9, "cases": 40}
        path.write_text(json.dumps(content))
    found = medseg.follow(out / "scan_0", out / "scan_1", tmp_path / "follow", registered=True)
    sizes = {one.class_name: one.size for one in found.classes}
    assert sizes["liver"].difference_interval_ml == pytest.approx((-3 * 2**0.5, 3 * 2**0.5))
    assert found.repeatability.startswith("Intervals of the volumes of liver are those of the model's card.")


@pytest.mark.slow
def test_the_command_line(pair, tmp_path):
    arguments = [pair.before, pair.after, "--scans", pair.scans[0], "--scans", pair.scans[1], "-o", tmp_path / "out"]
    done = subprocess.run(
        [sys.executable, "-m", "medseg", "follow", *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["counts"]["new"] == 1


def test_classes_that_share_voxels_are_followed_each_as_a_whole(pair, followed, tmp_path):
    """The lesions lie in an organ; neither takes voxels from the other."""
    paths = []
    for path, after in ((pair.before, False), (pair.after, True)):
        image = nib.load(path)
        lesions = np.asanyarray(image.dataobj)
        world = nib.affines.apply_affine(image.affine, np.moveaxis(np.indices(lesions.shape), 0, -1))
        organ = labels_at(world, [Ball((0.0, 0.0, 0.0), 30.0, 30.0)], after=after)
        both = nib.Nifti1Image(np.stack([lesions, organ], axis=-1), image.affine)
        nib.save(both, tmp_path / path.name)
        paths.append((tmp_path / path.name, float(organ.sum() * np.prod(image.header.get_zooms()) / 1000)))
    out = tmp_path / "out"
    found = medseg.follow(paths[0][0], paths[1][0], out, scans=pair.scans)
    alone, _ = followed
    lesions = [one for one in found.objects if one.class_name == "class-1"]
    assert [one.size for one in lesions] == [one.size for one in alone.objects]
    assert [one.match for one in lesions] == [one.match for one in alone.objects]
    (organ,) = (one for one in found.objects if one.class_name == "class-2")
    assert (organ.match, organ.change) == ("paired", "unchanged")
    assert (organ.size.before_ml, organ.size.after_ml) == pytest.approx((paths[0][1], paths[1][1]))
    assert (out / "follow.html").is_file()
