"""Every voxel of a DICOM volume lies where its header says, or the volume is refused."""

import itertools

import numpy as np
import pydicom
import pytest
from dicom_phantom import ORIENTATIONS, check, encode, grid, mixed_spacing, truth, uid, write_series
from series_kinds import off_the_line, padded, renamed

from medseg.errors import InputError
from medseg.io.discover import discover
from medseg.io.read import load_scan, read_scan


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("reverse", [False, True])
def test_any_orientation(tmp_path, orientation, reverse):
    where = grid(orientation, reverse=reverse)
    paths = write_series(tmp_path, where)
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.array.dtype == np.int16
    assert scan.geometry.shape == (14, 11, 9)
    np.testing.assert_allclose(scan.geometry.spacing, (1.25, 1.5, 2.5), atol=1e-3)
    assert set(scan.source.files) == set(paths)
    # Files are in the order of the third axis, whatever the order of the positions was.
    assert list(scan.source.files) == (paths[::-1] if reverse else paths)
    assert scan.modality == "CT"
    assert scan.source.series_uid == uid("series", "series")
    assert scan.source.study_uid == uid("series", "study")
    assert scan.source.frame_of_reference_uid == uid("series", "frame of reference")
    assert scan.source.notes == ()


@pytest.mark.parametrize("tilt", [18.5, -12.0])
def test_tilted_gantry_keeps_its_shear(tmp_path, tilt):
    write_series(tmp_path, grid(tilt=tilt))
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.geometry.is_sheared
    assert f"{abs(tilt)} degrees" in scan.source.warnings[0]


@pytest.mark.parametrize("drop", [1, 4, 7])
def test_missing_slice_is_refused(tmp_path, drop):
    write_series(tmp_path, grid().without(drop))
    with pytest.raises(InputError, match=r"1 of 9 slices are missing.*--allow-uneven"):
        load_scan(tmp_path)


def test_missing_slices_are_filled_when_allowed(tmp_path):
    write_series(tmp_path, grid("oblique", tilt=10).without(2, 3, 6))
    scan = load_scan(tmp_path, allow_uneven=True)
    # The field is linear, so interpolation gives its very values.
    check(scan)
    assert scan.geometry.shape[2] == 9
    assert any("resampled to 9 slices 2.5" in note for note in scan.source.warnings)


def test_mixed_slice_spacing(tmp_path):
    write_series(tmp_path, mixed_spacing(tilt=18.5))
    with pytest.raises(InputError, match="unevenly spaced"):
        load_scan(tmp_path)
    check(load_scan(tmp_path, allow_uneven=True))


def test_slices_too_uneven_to_resample(tmp_path):
    where = grid()
    where.positions[1] = where.positions[0] + [0, 0, 0.2]
    write_series(tmp_path, where)
    with pytest.raises(InputError, match="too unevenly spaced"):
        load_scan(tmp_path, allow_uneven=True)


def test_slices_off_a_straight_line_are_refused_even_so(tmp_path):
    write_series(tmp_path, off_the_line())
    with pytest.raises(InputError, match="straight line"):
        load_scan(tmp_path, allow_uneven=True)


def test_rounded_positions_are_taken(tmp_path):
    where = grid(step=1.23)
    where.positions[:] = np.round(where.positions, 2)
    write_series(tmp_path, where)
    check(load_scan(tmp_path), slack=0.51 + 0.01 * 7.7 * 2)


@pytest.mark.parametrize(
    ("dtype", "factor", "slack", "stored"),
    [
        (np.float32, 1, 0.51 * 2.5, {"modality": "PT", "slopes": [0.5 + 0.25 * k for k in range(9)], "intercept": 0}),
        (np.int16, 1, 1.01, {"slopes": [1, 2, 1, 2, 1, 2, 1, 2, 1]}),
        (np.int32, 20, 0.51, {"slopes": 20}),
        (np.int32, 15, 0.51, {"signed": False, "intercept": 0}),
        *((np.int16, 1, 0.51, {"signed": True, "bits": bits, "intercept": 2500}) for bits in (13, 16)),
        *((np.int16, 1, 0.51, {"signed": False, "bits": bits, "intercept": 0}) for bits in (13, 16)),
    ],
)
def test_slopes_signs_and_depths(tmp_path, dtype, factor, slack, stored):
    """Whole numbers stay whole, in 16 bits where they fit."""
    write_series(tmp_path, grid(), values=lambda world: factor * encode(world), **stored)
    scan = load_scan(tmp_path)
    assert scan.array.dtype == dtype
    check(scan.with_array(scan.array / factor, scan.geometry), slack=slack)


def test_dark_padding_stays(tmp_path):
    write_series(tmp_path, grid(), edit=padded(-2000))
    scan = load_scan(tmp_path)
    assert (scan.array[0, :, 0] == -3024).all()
    check(scan.with_array(np.where(scan.array == -3024, truth(scan.geometry), scan.array), scan.geometry))


@pytest.mark.parametrize("written", [65436, -100])
def test_signed_pixels_with_padding_written_as_unsigned(tmp_path, written):
    """-100 in a series of signed pixels that go down to about -2000: brighter than air, whichever way it is written."""
    write_series(tmp_path, grid(), intercept=0, values=lambda w: encode(w) - 4500, edit=padded(-100, written))
    scan = load_scan(tmp_path)
    real = np.rint(truth(scan.geometry)[:, 1:] - 4500)
    assert real.min() < -100
    assert (scan.array[0, :, 0] == real.min()).all()
    assert f"{14 * 9} pixels marked as padding" in scan.source.notes[0]


@pytest.mark.parametrize(("value", "written"), [(63536, None), (63536, -2000)])
def test_bright_padding_becomes_background(tmp_path, value, written):
    """-2000 in a series of unsigned pixels is 63536: brighter than any tissue."""
    write_series(tmp_path, grid(), signed=False, edit=padded(value, written))
    scan = load_scan(tmp_path)
    real = np.rint(truth(scan.geometry)[:, 1:])
    assert (scan.array[0, :, 0] == real.min()).all()
    assert "99" not in scan.source.notes[0]
    assert f"{14 * 9} pixels marked as padding" in scan.source.notes[0]
    assert scan.array.max() == real.max()


def test_same_file_twice(tmp_path):
    paths = write_series(tmp_path / "a", grid())
    (tmp_path / "b").mkdir()
    for path in paths[2:5]:
        (tmp_path / "b" / path.name).write_bytes(path.read_bytes())
    found = discover([tmp_path])
    check(read_scan(found.found[0]))
    assert [left.reason for left in found.skipped] == [f"it is a copy of {path}" for path in sorted(paths[2:5])]
    assert not any(left.corrupt for left in found.skipped)


@pytest.mark.parametrize("spacing", [[9, 9], [0, 0], [-1.5, -1.25]])
def test_a_file_that_gives_the_same_pixels_another_size_is_no_copy(tmp_path, spacing):
    paths = write_series(tmp_path / "a", grid())
    changed = pydicom.dcmread(paths[4])
    changed.PixelSpacing = spacing
    changed.save_as(tmp_path / "other.dcm")
    found = discover([tmp_path])
    assert not any("copy" in left.reason for left in found.skipped)


def test_volumes_that_nothing_but_their_damage_distinguishes_are_cases_of_their_own(tmp_path):
    paths = write_series(tmp_path / "a", grid())
    for rows in (0, 65535):
        damaged = pydicom.dcmread(paths[4])
        damaged.Rows = rows
        damaged.save_as(tmp_path / f"{rows}.dcm")
    ids = [scan.case_id for scan in discover([tmp_path]).found]
    assert len(ids) == 3
    assert len(set(ids)) == 3


def _phase(number: int, **attributes: object):
    return renamed(number, 9 * number, **attributes)


def _phases(folder, edits, *, apart=300) -> None:
    for number, edit in enumerate(edits):
        write_series(folder / str(number), grid(), values=lambda w, n=number: encode(w) + apart * n, edit=edit)


NUMBERS = ("AcquisitionNumber", "TemporalPositionIdentifier", "EchoNumbers", "EchoTime", "TriggerTime")
OTHERS = ("DiffusionBValue", "ContrastBolusAgent", "ConvolutionKernel", "AcquisitionTime", "SeriesTime")


@pytest.mark.parametrize("keyword", [*NUMBERS, *OTHERS])
def test_two_phases_under_one_uid(tmp_path, keyword):
    values = (1.0, 2.0) if keyword == "DiffusionBValue" else ("101500", "101501") if "Time" in keyword else ("0", "1")
    _phases(tmp_path, [_phase(n, **{keyword: values[n]}) for n in (0, 1)])
    found = discover([tmp_path]).found
    assert len(found) == 2
    assert len({scan.case_id for scan in found}) == 2
    offsets = set()
    for one in found:
        scan = read_scan(one)
        offset = round(float(scan.array[0, 0, 0, 0] - encode(scan.geometry.to_world([0, 0, 0]))), -2)
        check(scan.with_array(scan.array - offset, scan.geometry))
        offsets.add(offset)
        assert keyword in one.description
        assert keyword in scan.source.notes[0]
    assert offsets == {0, 300}


def test_two_phases_told_apart_by_the_run_of_instance_numbers(tmp_path):
    _phases(tmp_path, [_phase(0), _phase(1)], apart=1)
    found = discover([tmp_path]).found
    assert [one.description for one in found] == ["CT, 9 slices (run 1 of 2)", "CT, 9 slices (run 2 of 2)"]
    for number, one in enumerate(found):
        scan = read_scan(one)
        check(scan.with_array(scan.array - number, scan.geometry))


def test_acquisition_numbers_that_instance_numbers_contradict_are_refused(tmp_path):
    """Either could be right: the phases swap acquisition numbers half-way, and the runs of the instances do not."""
    _phases(tmp_path, [_phase(n, AcquisitionNumber=lambda k, n=n: 1 + (int(k >= 4) ^ n)) for n in (0, 1)])
    with pytest.raises(InputError, match="share a place"):
        load_scan(tmp_path)


def test_two_phases_that_nothing_tells_apart_are_refused(tmp_path):
    shuffled = np.random.default_rng(0).permutation(18)
    _phases(tmp_path, [_phase(n, InstanceNumber=lambda k, n=n: int(shuffled[n * 9 + k])) for n in (0, 1)], apart=0)
    with pytest.raises(InputError, match="nothing in their headers says which belong together"):
        load_scan(tmp_path)


def test_time_that_counts_slices_splits_nothing(tmp_path):
    count = {keyword: lambda k: k + 1 for keyword in ("TemporalPositionIdentifier", "AcquisitionNumber")}
    write_series(tmp_path, grid(), edit=_phase(0, **count))
    check(load_scan(tmp_path))


def test_missing_slice_in_one_of_two_phases(tmp_path):
    write_series(tmp_path / "0", grid(), edit=_phase(0, AcquisitionNumber=1))
    write_series(tmp_path / "1", grid().without(4), edit=_phase(1, AcquisitionNumber=2))
    whole, broken = sorted(discover([tmp_path]).found, key=lambda one: -len(one.files))
    check(read_scan(whole))
    with pytest.raises(InputError, match="1 of 9 slices are missing"):
        read_scan(broken)


def test_localizer_inside_a_series(tmp_path):
    write_series(tmp_path / "a", grid())
    scout = _phase(10, ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_series(tmp_path / "b", grid("coronal", slices=1), edit=scout)
    found = discover([tmp_path])
    assert len(found.found) == 1
    check(read_scan(found.found[0]))
    assert [(left.reason, left.corrupt) for left in found.skipped] == [("it is a localizer (scout), not a scan", False)]


def test_three_planes_are_a_localizer_without_being_called_one(tmp_path):
    for name in ("axial", "coronal", "sagittal"):
        edit = lambda ds, k, n=name: setattr(ds, "SOPInstanceUID", uid(n, k))  # noqa: E731
        write_series(tmp_path / name, grid(name, slices=1), modality="MR", edit=edit)
    found = discover([tmp_path])
    assert found.found == ()
    assert {left.reason.partition(":")[0] for left in found.skipped} == {"one of 3 directions with a slice or two each"}


def test_projection_beside_a_stack_is_set_apart(tmp_path):
    write_series(tmp_path / "a", grid())
    projection = _phase(10, ImageType=["DERIVED", "SECONDARY", "PROJECTION IMAGE"])
    far = grid(slices=1)
    far.positions[:] += [0, 0, 87]
    write_series(tmp_path / "b", far, edit=projection)
    found = discover([tmp_path]).found
    assert sorted(len(one.files) for one in found) == [1, 9]
    check(read_scan(max(found, key=lambda one: len(one.files))))


def test_series_in_one_folder_stay_apart(tmp_path):
    for name, orientation in (("one", "axial"), ("two", "sagittal")):
        write_series(tmp_path, grid(orientation), name=name)
    found = discover([tmp_path]).found
    assert len(found) == 2
    for one in found:
        check(read_scan(one))


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"])
def test_no_place_is_refused(tmp_path, keyword):
    write_series(tmp_path, grid(), edit=lambda ds, k: delattr(ds, keyword))
    with pytest.raises(InputError, match=r"its position in the patient is unknown|share a place"):
        load_scan(tmp_path)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]),
        ("ImageOrientationPatient", [0, 0, 0, 0, 0, 0]),
        ("ImageOrientationPatient", [1, 0, 0, 0, 0.5, 0]),
        ("PixelSpacing", [0, 1]),
        ("PixelSpacing", [-1, 1]),
        ("PixelSpacing", [1e9, 1]),
    ],
)
def test_absurd_places_are_refused(tmp_path, keyword, value):
    write_series(tmp_path, grid(), edit=lambda ds, k: setattr(ds, keyword, value))
    with pytest.raises(InputError):
        load_scan(tmp_path)


def test_one_slice(tmp_path):
    write_series(tmp_path, grid("oblique", slices=1))
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.geometry.spacing[2] == pytest.approx(2.5)
    assert scan.source.warnings == ("One slice; its thickness was taken as 2.5 mm",)


def test_position_of_corners_agrees_with_highdicom(tmp_path):
    import highdicom
    import pydicom

    for name, reverse in itertools.product(ORIENTATIONS, (False, True)):
        folder = tmp_path / f"{name}{reverse}"
        paths = write_series(folder, grid(name, reverse=reverse))
        theirs = highdicom.get_volume_from_series([pydicom.dcmread(p) for p in paths], apply_presentation_lut=False)
        ours = load_scan(folder)
        shape = theirs.array.shape  # slices, rows, columns
        corners = np.array(list(itertools.product(*[(0, n - 1) for n in shape])))
        lps = theirs.map_indices_to_reference(corners)
        for corner, place in zip(corners, lps, strict=True):
            x, y, z = np.rint(ours.geometry.to_voxel(place * [-1, -1, 1])).astype(int)
            assert ours.array[0, x, y, z] == theirs.array[tuple(corner)]
            np.testing.assert_allclose(ours.geometry.to_world([x, y, z]), place * [-1, -1, 1], atol=1e-3)
