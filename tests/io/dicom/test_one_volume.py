"""Headers with small faults that are the same in every file: one volume with a note, not many and not none."""

from dataclasses import replace

import numpy as np
import pytest
from dicom_phantom import check, encode, grid, uid, write_series
from pydicom.dataset import Dataset

from medseg.errors import InputError
from medseg.io.discover import discover
from medseg.io.read import load_scan, read_scan

UIDS = ("SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")


def new_in_each(*keywords: str):
    def edit(ds: Dataset, k: int) -> None:
        for keyword in keywords:
            setattr(ds, keyword, uid(keyword, k))

    return edit


@pytest.mark.parametrize("keywords", [UIDS[:1], UIDS[1:2], UIDS[2:], UIDS[:2], UIDS[1:], UIDS[::2], UIDS], ids=" ".join)
def test_uids_that_are_new_in_every_file(tmp_path, keywords):
    write_series(tmp_path, grid("oblique"), edit=new_in_each(*keywords))
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.source.warnings == ()
    assert [note.split(" is new")[0] for note in scan.source.notes] == list(keywords)


def test_each_in_a_folder_of_its_own(tmp_path):
    for path in write_series(tmp_path, grid(), edit=new_in_each(*UIDS)):
        (tmp_path / path.stem).mkdir()
        path.rename(tmp_path / path.stem / "1.dcm")
    check(load_scan(tmp_path))


def test_two_series_with_new_uids_beside_each_other(tmp_path):
    for number in (1, 2):

        def edit(ds: Dataset, k: int, number: int = number) -> None:
            new_in_each("SeriesInstanceUID")(ds, (number, k))
            ds.SeriesNumber = number

        write_series(tmp_path, grid(), name=f"s{number}", values=lambda w, n=number: encode(w) + 300 * n, edit=edit)
    found = discover([tmp_path]).found
    assert [len(one.files) for one in found] == [9, 9]
    for one in found:
        scan = read_scan(one)
        check(scan.with_array(scan.array - 300 * one.series_number, scan.geometry))


def test_a_missing_slice_is_missed_all_the_same(tmp_path):
    write_series(tmp_path, grid().without(4), edit=new_in_each(*UIDS))
    with pytest.raises(InputError, match="1 of 9 slices are missing"):
        load_scan(tmp_path)


def test_single_images_of_several_series_stay_apart(tmp_path):
    """Images of the same place, or with series numbers of their own, are no stack."""
    write_series(
        tmp_path / "a", replace(grid(), positions=grid().positions[:1].repeat(3, 0)), edit=new_in_each(UIDS[0])
    )

    def edit(ds: Dataset, k: int) -> None:
        new_in_each("SeriesInstanceUID")(ds, k + 10)
        ds.SeriesNumber = k

    write_series(tmp_path / "b", grid(slices=3), name="b", edit=edit)
    assert [len(one.files) for one in discover([tmp_path]).found] == [1] * 6


def test_nobody_knows_whose_images_are_whose_patient_is_new_in_every_file(tmp_path):
    """As after faulty de-identification, in place of nine scans of one slice each."""
    write_series(tmp_path, grid(), edit=new_in_each("PatientID", *UIDS))
    with pytest.raises(InputError, match="series UID and Patient ID are new in every file") as refused:
        load_scan(tmp_path)
    assert "2.25" not in str(refused.value)


def test_single_images_of_several_patients_stay_apart(tmp_path):
    where = grid()
    where.positions[:, 2] += np.arange(9) ** 2
    write_series(tmp_path, where, edit=new_in_each("PatientID", *UIDS))
    assert [len(one.files) for one in discover([tmp_path]).found] == [1] * 9


def turned(angles):
    """Turn each slice about its row direction by its angle, as far as the header is concerned."""

    def edit(ds: Dataset, k: int) -> None:
        row, column = np.reshape([float(v) for v in ds.ImageOrientationPatient], (2, 3))
        column = column * np.cos(angles[k]) + np.cross(row, column) * np.sin(angles[k])
        ds.ImageOrientationPatient = [round(float(v), 8) for v in (*row, *column)]

    return edit


RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize(
    "angles",
    [
        np.arange(9) * 1e-4,
        np.arange(9) * 1e-3,
        RANDOM.normal(0, 1e-4, 9),
        RANDOM.uniform(-1e-3, 1e-3, 9),
        np.where(np.arange(9) % 2, 1e-3, 0),
    ],
)
@pytest.mark.parametrize("orientation", ["axial", "oblique"])
def test_directions_that_turn_a_little(tmp_path, angles, orientation):
    write_series(tmp_path, grid(orientation), edit=turned(angles))
    scan = load_scan(tmp_path)
    check(scan, slack=0.51 + 5e-3 * 11 * 1.5 * 10.2)
    assert scan.array.shape == (1, 14, 11, 9)
    assert scan.source.warnings == ()
    assert "rounded" not in " ".join(scan.source.notes)
    if np.ptp(angles) > 5e-4:
        assert "Directions of the slices differ by up to" in scan.source.notes[0]


@pytest.mark.parametrize("angle", [0.005, 0.02, 0.05])
def test_directions_that_turn_much_are_refused_and_no_localizer(tmp_path, angle):
    write_series(tmp_path, grid(), edit=turned(np.arange(9) * angle))
    with pytest.raises(InputError, match="directions of its slices turn by"):
        load_scan(tmp_path)


def test_directions_and_uids_together(tmp_path):
    def edit(ds: Dataset, k: int) -> None:
        new_in_each(*UIDS)(ds, k)
        turned(np.arange(9) * 3e-4)(ds, k)

    write_series(tmp_path, grid(), edit=edit)
    assert load_scan(tmp_path).array.shape == (1, 14, 11, 9)


@pytest.mark.parametrize("step", [0.4, 0.45, 0.5, 0.625, 0.75, 1.25, 2.5])
@pytest.mark.parametrize("orientation", ["axial", "oblique"])
@pytest.mark.parametrize("start", [0.0, 0.03])
def test_positions_rounded_to_a_tenth_of_a_millimeter(tmp_path, step, orientation, start):
    where = grid(orientation, slices=40, step=step)
    true = where.positions + start
    write_series(tmp_path, replace(where, positions=true), edit=_rounded(true))
    scan = load_scan(tmp_path)
    assert scan.array.shape == (1, 14, 11, 40)
    assert scan.geometry.spacing[2] == pytest.approx(step, abs=0.003)
    # Half a tenth along each axis, and half a gray level.
    check(scan, slack=0.51 + 0.05 * (4.1 + 5.3 + 7.7))
    assert scan.source.warnings == ()


def _rounded(positions):
    def edit(ds: Dataset, k: int) -> None:
        ds.ImagePositionPatient = [round(float(v), 1) for v in positions[k]]

    return edit


@pytest.mark.parametrize("step", [0.4, 0.625, 1.25])
def test_rounding_hides_no_missing_slice(tmp_path, step):
    where = grid(slices=40, step=step)
    for number, lost in enumerate([1, 20, 38]):
        left = where.without(lost)
        write_series(tmp_path / str(number), left, edit=_rounded(left.positions))
        with pytest.raises(InputError, match=r"missing|unevenly"):
            load_scan(tmp_path / str(number))
