"""Series that lost a part, though what is left makes an even stack: a warning, or refused where it surely is so."""

import re

import pydicom
import pytest
from dicom_phantom import check, grid, write_enhanced, write_series
from pydicom.dataset import Dataset
from series_kinds import renamed

from medseg.errors import InputError
from medseg.io.convert import convert
from medseg.io.dicom.continued import CONTINUED
from medseg.io.discover import discover
from medseg.io.read import load_scan, read_scan
from medseg.review.inspect import inspect


def numbered(folder, slices=18, edit=None, name="series", first=1, **options):
    """Write a series whose file names count its slices."""
    paths = write_series(folder / "tmp", grid(slices=slices), edit=edit, name=name, **options)
    named = [folder / f"IM_{k + first:04}" for k in range(slices)]
    for old, new in zip(paths, named, strict=True):
        old.rename(new)
    (folder / "tmp").rmdir()
    return named


def stating(**attributes: object):
    def edit(ds: Dataset, k: int) -> None:
        for keyword, value in attributes.items():
            setattr(ds, keyword, value)

    return edit


ACQUISITION = "9 of 18 images of this acquisition are here, by its header (Images in Acquisition)"
SERIES = "9 of 18 images of this series are here, by its header (Number of Series Related Instances)"


@pytest.mark.parametrize(
    ("edit", "warning"),
    [
        (stating(ImagesInAcquisition=18), ACQUISITION),
        (stating(NumberOfSeriesRelatedInstances=18), SERIES),
    ],
)
@pytest.mark.parametrize("lost", [slice(9, 18), slice(0, 9), slice(1, 18, 2)])
def test_the_header_says_how_many(tmp_path, edit, warning, lost):
    for path in numbered(tmp_path, edit=edit)[lost]:
        path.unlink()
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.source.warnings == (warning,)
    if lost != slice(9, 18):  # the same to inspect, which reads in processes of its own
        return
    assert inspect(tmp_path).volumes[0].notes == inspect(tmp_path, headers_only=True).volumes[0].notes == (warning,)


def test_slices_of_a_pet(tmp_path):
    for path in numbered(tmp_path, edit=stating(NumberOfSlices=18), modality="PT")[9:]:
        path.unlink()
    assert "9 of 18 images of this time are here" in " ".join(load_scan(tmp_path).source.warnings)


@pytest.mark.parametrize(
    ("element", "owner", "of"),
    [
        ((0x0025, 0x07), "GEMS_SERS_01", "series"),
        ((0x0021, 0x4F), "GEMS_RELA_01", "volume"),
        ((0x2001, 0x18), "Philips Imaging DD 001", "volume"),
    ],
)
def test_the_maker_says_how_many(tmp_path, element, owner, of):
    def edit(ds: Dataset, k: int) -> None:
        ds.private_block(element[0], owner, create=True).add_new(element[1], "SL", 18)

    paths = numbered(tmp_path, edit=edit)
    assert load_scan(tmp_path).source.warnings == ()
    for path in paths[9:]:
        path.unlink()
    assert load_scan(tmp_path).source.warnings == (
        f"9 of 18 images of this {of} are here, by its header (the maker's own count)",
    )


@pytest.mark.parametrize(
    ("attributes", "warned"),
    [
        ({"SpacingBetweenSlices": 2.5, "SliceThickness": 2.5}, True),
        ({"SliceThickness": 2.5}, True),
        ({"SpacingBetweenSlices": 2.5, "SliceThickness": 5}, False),  # the gap, where the spacing should stand
        ({"SpacingBetweenSlices": 5, "SliceThickness": 2.5}, False),  # slices with gaps between them
        ({"SliceThickness": 3}, False),
    ],
)
def test_steps_that_are_several_of_what_the_header_says(tmp_path, attributes, warned):
    def edit(ds: Dataset, k: int) -> None:
        for keyword in ("InstanceNumber", "SpacingBetweenSlices", "SliceThickness"):
            if keyword in ds:
                delattr(ds, keyword)
        stating(**attributes)(ds, k)

    write_series(tmp_path, grid(step=5.0), edit=edit)
    told = " ".join(load_scan(tmp_path).source.warnings)
    assert ("2 times the" in told) is warned
    assert warned or not told


@pytest.mark.parametrize(
    ("lost", "warning"),
    [
        (slice(1, 18, 2), "Instance numbers go up in steps of 2: only every second image may be here"),
        (slice(0, 9), "Instance numbers begin with 10: 9 images before may be missing"),
    ],
)
def test_instance_numbers_say_so(tmp_path, lost, warning):
    for path in numbered(tmp_path)[lost]:
        path.unlink()
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.source.warnings == (warning,)


def test_images_lost_at_an_end_of_an_interleaved_acquisition(tmp_path):
    order = [*range(1, 19, 2), *range(2, 19, 2)]
    for path in numbered(tmp_path, numbers=[order.index(k + 1) + 1 for k in range(18)])[14:]:
        path.unlink()
    assert load_scan(tmp_path).source.warnings == (
        "2 instance numbers between 1 and 16 are missing, and images with them",
    )


@pytest.mark.parametrize(
    "edit",
    [
        stating(ImagesInAcquisition=9),
        stating(NumberOfSeriesRelatedInstances=9),
        lambda ds, k: setattr(ds, "InstanceNumber", k),
        lambda ds, k: setattr(ds, "InstanceNumber", 9 - k),
        lambda ds, k: setattr(ds, "InstanceNumber", 1001 + 100 * k),
        lambda ds, k: setattr(ds, "InstanceNumber", 1),
        lambda ds, k: delattr(ds, "InstanceNumber"),
    ],
)
def test_complete_series_have_no_warning(tmp_path, edit):
    write_series(tmp_path, grid(), edit=edit)
    assert load_scan(tmp_path).source.warnings == ()


def test_phases_and_localizers_are_counted_together(tmp_path):
    """Numbers that one volume lacks are those of another."""
    for n in (0, 1):

        def edit(ds: Dataset, k: int, n: int = n) -> None:
            renamed(n, TemporalPositionIdentifier=n + 1, ImagesInAcquisition=18)(ds, k)
            ds.InstanceNumber = 2 * k + n + 1

        write_series(tmp_path / str(n), grid(), edit=edit)
    found = discover([tmp_path]).found
    assert len(found) == 2
    assert [read_scan(one).source.warnings for one in found] == [(), ()]


def test_a_part_of_a_split_object_is_missing(tmp_path):
    def edit(ds: Dataset) -> None:
        ds.ConcatenationUID, ds.InConcatenationNumber, ds.InConcatenationTotalNumber = "2.25.77", 1, 2

    write_enhanced(tmp_path / "x.dcm", grid(), edit=edit)
    assert "1 of 2 parts of this object" in load_scan(tmp_path).source.warnings[0]


BREAK = {
    "empty": lambda content: b"",
    "cut in the header": lambda content: content[:600],
    "cut in the preamble": lambda content: content[:100],
    "zeros": lambda content: bytes(len(content)),
    "a page of an archive instead": lambda content: b"<html>not found</html>" * 20,
}


@pytest.mark.parametrize("how", BREAK)
@pytest.mark.parametrize("suffix", ["", ".dcm", ".IMA"])
def test_broken_files_beside_it_refuse_a_series(tmp_path, how, suffix):
    paths = [path.rename(path.with_name(path.name + suffix)) for path in numbered(tmp_path)]
    for path in paths[9:]:
        path.write_bytes(BREAK[how](path.read_bytes()))
    with pytest.raises(InputError, match="part of it seems lost: 9 files beside it") as refused:
        load_scan(tmp_path)
    assert "--allow-incomplete" in str(refused.value)
    (found,) = discover([tmp_path]).found
    assert re.search("cannot be read: (IM_00|dicom-)[0-9a-f-]+ and more", found.incomplete)  # by its case id
    assert inspect(tmp_path).exit_code == 4
    scan = load_scan(tmp_path, allow_incomplete=True)
    check(scan)
    assert scan.array.shape[3] == 9
    assert "read without it, as allowed" in scan.source.warnings[0]


@pytest.mark.parametrize("ending", [".part", ".crdownload", ".dcm.tmp", "~"])
def test_files_that_are_still_on_their_way_refuse_a_series(tmp_path, ending):
    paths = numbered(tmp_path)
    if ending.startswith(".dcm"):
        paths = [path.rename(path.with_name(path.name + ".dcm")) for path in paths]
    for path in paths[9:]:
        path.write_bytes(path.read_bytes()[:500])
        path.rename(path.with_name(path.name + ending.removeprefix(".dcm")))
    with pytest.raises(InputError, match="part of it seems lost: 9 files beside it"):
        load_scan(tmp_path)


def test_a_file_cut_anywhere_refuses_the_series(tmp_path):
    path = numbered(tmp_path, 9)[8]
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, 41):
        path.write_bytes(whole[:length])
        found = discover([tmp_path]).found
        assert found, length
        for one in found:
            with pytest.raises(InputError):
                read_scan(one)


@pytest.mark.parametrize("name", ["README", "IM_0010.txt", "notes 12", "0010"])
def test_other_files_refuse_nothing(tmp_path, name):
    numbered(tmp_path, 9)
    (tmp_path / name).write_text("some text about the study")
    assert load_scan(tmp_path).source.warnings == ()


def test_a_broken_file_refuses_the_series_its_number_lies_in(tmp_path):
    numbered(tmp_path, 9, name="a")
    numbered(tmp_path, 9, name="b", first=10)[4].write_bytes(b"")
    verdicts = {volume.found.series_uid: volume.reason for volume in inspect(tmp_path).volumes}
    assert sorted(reason is None for reason in verdicts.values()) == [False, True]


def test_a_broken_file_in_another_folder_refuses_nothing(tmp_path):
    numbered(tmp_path / "a", 9, name="a")
    numbered(tmp_path / "b", 9, name="b")[4].write_bytes(b"")
    assert sorted(volume.is_valid for volume in inspect(tmp_path).volumes) == [False, True]


def test_a_header_that_cannot_be_read_refuses_its_series(tmp_path):
    """Whatever the file is called."""
    path = write_series(tmp_path, grid())[8]
    ds = pydicom.dcmread(path)
    ds.RescaleSlope = 0
    ds.save_as(tmp_path / "other name")
    path.unlink()
    with pytest.raises(InputError, match="an image of its series has a header that cannot be read"):
        load_scan(tmp_path)


@pytest.mark.parametrize(
    ("keyword", "value", "difference"),
    [
        ("FrameOfReferenceUID", "2.25.5", "the frame of reference"),
        ("StudyInstanceUID", "2.25.5", "the study"),
        ("PixelSpacing", [1.5, 1.3], "the pixel spacing"),
        ("ImageOrientationPatient", [0, 1, 0, 1, 0, 0], "the orientation"),
    ],
)
@pytest.mark.parametrize("last", [1, 2, 4])
def test_slices_split_off_because_a_header_differs(tmp_path, keyword, value, difference, last):
    def edit(ds: Dataset, k: int) -> None:
        if k >= 9 - last:
            setattr(ds, keyword, value)

    write_series(tmp_path, grid(), edit=edit)
    report = inspect(tmp_path)
    assert not any(volume.is_valid for volume in report.volumes)
    assert difference in " ".join(str(volume.reason) for volume in report.volumes)
    (whole, *_) = sorted(inspect(tmp_path, allow_incomplete=True).volumes, key=lambda v: -len(v.found.files))
    assert "were split off" in whole.notes[0]


@pytest.mark.parametrize(
    ("keyword", "value", "difference"),
    [
        ("FrameOfReferenceUID", "2.25.5", "the frame of reference"),
        ("PixelSpacing", [1.501, 1.2], "the pixel spacing"),
    ],
)
def test_every_second_slice_split_off(tmp_path, keyword, value, difference):
    write_series(tmp_path, grid(), edit=lambda ds, k: k % 2 and setattr(ds, keyword, value))
    found = discover([tmp_path]).found
    assert len(found) == 2
    assert all(f"lie between its own, and were split off because of {difference}" in str(f.incomplete) for f in found)


def test_pairs_of_slices_split_off(tmp_path):
    write_series(tmp_path, grid(slices=8), edit=lambda ds, k: setattr(ds, "FrameOfReferenceUID", f"2.25.{k // 2}"))
    assert all(one.incomplete for one in discover([tmp_path]).found)


@pytest.mark.parametrize(
    ("attributes", "difference"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "the object class"),
        ({"SamplesPerPixel": 3}, "samples per pixel"),
    ],
)
def test_the_rest_of_a_series_is_of_another_kind(tmp_path, attributes, difference):
    write_series(tmp_path, grid(), edit=lambda ds, k: k > 4 and stating(**attributes)(ds, k))
    (found,) = discover([tmp_path]).found
    assert f"4 images of its series lie where it would go on, and were split off because of {difference}" in str(
        found.incomplete
    )


def test_a_slice_that_lost_its_position(tmp_path):
    write_series(tmp_path, grid(), edit=lambda ds, k: k == 8 and delattr(ds, "ImagePositionPatient"))
    report = inspect(tmp_path)
    assert not any(volume.is_valid for volume in report.volumes)
    assert "1 image of its series without a valid position" in " ".join(str(volume.reason) for volume in report.volumes)


def test_allowed_by_convert(tmp_path):
    numbered(tmp_path / "in")[17].write_bytes(b"")
    assert convert(tmp_path / "in", tmp_path / "out").exit_code == 4
    done = convert(tmp_path / "in", tmp_path / "out", allow_incomplete=True)
    assert [one.path is not None for one in done.converted] == [True]


@pytest.mark.parametrize("last", [1, 4])
def test_slices_that_call_themselves_a_localizer(tmp_path, last):
    """In the direction of the scan, with its pixels, where it would go on."""
    localizer = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    write_series(tmp_path, grid(), edit=lambda ds, k: k >= 9 - last and setattr(ds, "ImageType", localizer))
    (found,) = discover([tmp_path]).found
    assert f"{last} image{'s' * (last > 1)} of its series lie where it would go on" in str(found.incomplete)


def test_a_localizer_beside_a_scan_refuses_nothing(tmp_path):
    scout = grid("coronal", slices=1)
    scout.positions[0] = grid().positions[0] - [0, 0, 2.5]
    write_series(tmp_path, grid(), edit=stating(SeriesInstanceUID="2.25.7", StudyInstanceUID="2.25.8"))
    same = {
        "SeriesInstanceUID": "2.25.7",
        "StudyInstanceUID": "2.25.8",
        "ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"],
    }
    write_series(tmp_path, scout, name="scout", edit=stating(**same))
    assert [one.incomplete for one in discover([tmp_path]).found] == [None]


@pytest.mark.parametrize("others", [{4}, {3, 4}, {2, 6}])
def test_slices_that_are_turned_refuse_what_lacks_them(tmp_path, others):
    def edit(ds: Dataset, k: int) -> None:
        if k in others:
            ds.ImageOrientationPatient = [1, 0.01, 0, -0.01, 1, 0]

    write_series(tmp_path, grid(), edit=edit)
    found = discover([tmp_path]).found
    assert len(found) == 2
    assert all("split off" in str(one.incomplete) for one in found)


def test_one_of_four_slices_split_off(tmp_path):
    write_series(tmp_path, grid(slices=4), edit=lambda ds, k: k == 2 and setattr(ds, "PixelSpacing", [1.25, 1.5]))
    assert all(one.incomplete for one in discover([tmp_path]).found)


@pytest.mark.parametrize("part", [lambda k: k // 2, lambda k: k == 8, lambda k: k == 4, lambda k: k > 4])
def test_a_series_cut_in_several_by_its_uid(tmp_path, part):
    def edit(ds: Dataset, k: int) -> None:
        ds.SeriesInstanceUID, ds.SeriesNumber = f"2.25.{part(k):d}", 3

    write_series(tmp_path, grid(slices=10), edit=edit)
    found = discover([tmp_path]).found
    assert len(found) == len({part(k) for k in range(10)})
    assert all(CONTINUED in one.warnings for one in found)


@pytest.mark.parametrize("attributes", [{"SeriesNumber": 9}, {"PatientID": "Q"}, {"FrameOfReferenceUID": "2.25.77"}])
def test_series_that_are_others_are_not_cut(tmp_path, attributes):
    def edit(ds: Dataset, k: int) -> None:
        ds.SeriesInstanceUID, ds.SeriesNumber = f"2.25.{k > 4:d}", 3
        if k > 4:
            stating(**attributes)(ds, k)

    write_series(tmp_path, grid(), edit=edit)
    assert not any(CONTINUED in one.warnings for one in discover([tmp_path]).found)


@pytest.mark.parametrize(
    ("places", "warning"),
    [
        (range(1, 19, 2), "Places in the stack go up in steps of 2: only every second frame may be here"),
        (range(10, 19), "Places in the stack begin with 10: 9 frames before may be missing"),
        ([1, 2, 3, 4, 6, 7, 8, 9, 10], "1 places in the stack between 1 and 10 are missing, and frames with them"),
        (range(1, 10), ""),
        (range(9, 0, -1), ""),
    ],
)
def test_places_in_the_stack_of_an_enhanced_object(tmp_path, places, warning):
    def edit(ds: Dataset) -> None:
        for groups, place in zip(ds.PerFrameFunctionalGroupsSequence, places, strict=True):
            content = Dataset()
            content.StackID, content.InStackPositionNumber = "1", place
            groups.FrameContentSequence = [content]

    write_enhanced(tmp_path / "x.dcm", grid(), edit=edit)
    assert " ".join(load_scan(tmp_path).source.warnings) == warning


def test_places_that_count_on_over_the_stacks_of_an_object_are_not_missing(tmp_path):
    """Two stacks in two directions, the places of the second from 10 to 18."""

    def edit(ds: Dataset) -> None:
        for groups, place in zip(ds.PerFrameFunctionalGroupsSequence, range(1, 19), strict=True):
            content = Dataset()
            content.StackID, content.InStackPositionNumber = str(1 + (place > 9)), place
            groups.FrameContentSequence = [content]
            groups.PlaneOrientationSequence = [Dataset()]
            groups.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
            if place > 9:
                k = place - 10
                groups.PlaneOrientationSequence[0].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
                groups.PlanePositionSequence[0].ImagePositionPatient = [0, 2.5 * k, 0]
        del ds.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence

    write_enhanced(tmp_path / "x.dcm", grid(slices=18), edit=edit)
    scans = [read_scan(found) for found in discover([tmp_path]).found]
    assert [scan.source.warnings for scan in scans] == [(), ()]


TIMES = "1 of 2 times of this series are here, by its header (Number of Temporal Positions)"


@pytest.mark.parametrize(("times", "warnings"), [([1, 2], [(), ()]), ([2], [(TIMES,)])])
def test_times_that_are_missing(tmp_path, times, warnings):
    for time in times:
        edit = stating(TemporalPositionIdentifier=time, NumberOfTemporalPositions=2)
        numbers = range(1 + 9 * (times.index(time)), 10 + 9 * times.index(time))
        write_series(tmp_path / str(time), grid(), modality="MR", edit=new_uids(time, edit), numbers=list(numbers))
    assert [read_scan(found).source.warnings for found in discover([tmp_path]).found] == warnings


def new_uids(time: int, edit):
    """Objects of another time, in the same series."""

    def changed(ds: Dataset, k: int) -> None:
        edit(ds, k)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{time}.{k}"

    return changed


@pytest.mark.parametrize("kind", ["DYNAMIC", "STATIC"])
def test_times_of_a_dynamic_pet_that_are_missing(tmp_path, kind):
    """Of a static one, real headers count the places of the table so."""
    edit = stating(NumberOfTimeSlices=3, FrameReferenceTime=60000, NumberOfSlices=9, SeriesType=[kind, "IMAGE"])
    write_series(tmp_path, grid(), modality="PT", edit=edit)
    warning = "1 of 3 times of this series are here, by its header (Number of Time Slices)"
    assert (warning in load_scan(tmp_path).source.warnings) is (kind == "DYNAMIC")


def test_steps_of_an_enhanced_object(tmp_path):
    def edit(ds: Dataset) -> None:
        measures = ds.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        measures.SpacingBetweenSlices = measures.SliceThickness = 2.5

    write_enhanced(tmp_path / "x.dcm", grid(step=5.0), edit=edit)
    (warning,) = load_scan(tmp_path).source.warnings
    assert warning.startswith("Images are 5 mm apart, 2 times the Spacing Between Slices of 2.5 mm")


def test_a_file_that_rsync_has_not_finished_refuses_a_series(tmp_path):
    for path in numbered(tmp_path)[9:]:
        path.rename(path.with_name(f".{path.name}.Xy12Ab"))
    with pytest.raises(InputError, match="part of it seems lost: 9 files beside it"):
        load_scan(tmp_path)


def test_frames_that_are_not_there(tmp_path):
    write_enhanced(
        tmp_path / "x.dcm", grid(), edit=lambda ds: setattr(ds, "PixelData", ds.PixelData[: 14 * 11 * 2 * 7])
    )
    with pytest.raises(InputError, match="the file has space for 7 frames, and its header states 9"):
        load_scan(tmp_path)
