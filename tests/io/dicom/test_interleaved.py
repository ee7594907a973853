"""Two acquisitions under one series UID, however far their slices lie apart: two volumes, never one of both."""

from dataclasses import replace

import numpy as np
import pytest
from dicom_phantom import check, encode, grid, write_enhanced, write_series
from pydicom.dataset import Dataset
from series_kinds import PHASE, renamed

from medseg.errors import InputError
from medseg.io.dicom.header import read_header
from medseg.io.discover import discover
from medseg.io.read import load_scan, read_scan

STEP = 4.0
M, P = ["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]
DISTINGUISHED_BY = {
    "ConvolutionKernel": ("B30f", "B70f"),
    "KVP": (80, 140),
    "ContrastBolusAgent": ("", "IOHEXOL"),
    "DiffusionBValue": (0.0, 1000.0),
    "InversionTime": (50, 800),
    "AcquisitionNumber": (1, 2),
    "ImageType": (M, P),
    "SeriesNumber": (3, 4),
    "SliceThickness": (4, 5),
}


def both(folder, shift: float, keyword: str, values, *, steps=(STEP, STEP), slices=9):
    """Write two acquisitions; the second is `shift` mm higher and 300 brighter."""
    for n in (0, 1):
        where = grid(step=steps[n], slices=slices)
        where.positions[:] = grid(step=STEP, slices=slices).positions[0]
        where.positions[:, 2] += np.arange(slices) * steps[n] + shift * n
        write_series(
            folder,
            where,
            name=f"part{n}",
            values=lambda w, n=n: encode(w) + PHASE * n,
            edit=_as_one_series(n, **{keyword: values[n]}),
        )


def _as_one_series(n: int, **attributes: object):
    def edit(ds: Dataset, k: int) -> None:
        renamed(n, 9 * n, **attributes)(ds, k)
        ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.FrameOfReferenceUID = "2.25.7", "2.25.8", "2.25.9"

    return edit


def check_both(folder, count=2):
    found = discover([folder]).found
    assert len(found) == count
    added = set()
    for one in found:
        scan = read_scan(one)
        extra = PHASE * round(float(np.median(scan.array[0] - encode(scan.geometry.to_world(_voxels(scan))))) / PHASE)
        check(scan.with_array(scan.array - extra, scan.geometry))
        added.add(extra)
    assert added == {PHASE * n for n in range(count)}


def _voxels(scan):
    return np.moveaxis(np.indices(scan.geometry.shape), 0, -1)


@pytest.mark.parametrize("shift", [0.0, 0.05, 0.7, STEP / 2, 2.9, 1.5 * STEP])
@pytest.mark.parametrize("keyword", DISTINGUISHED_BY)
def test_acquisitions_are_split(tmp_path, keyword, shift):
    both(tmp_path, shift, keyword, DISTINGUISHED_BY[keyword])
    check_both(tmp_path)


WHAT_AN_ACQUISITION_SHARES = {
    "SeriesDescription": ("arterial", "venous"),
    "RepetitionTime": (500, 3000),
    "SequenceName": ("*ep_b0", "*ep_b1000#1"),
    "NominalPercentageOfCardiacPhase": (0, 40),
    "FrameReferenceTime": (0, 60000),
    "Units": ("BQML", "CNTS"),
    "StudyDate": ("20200101", "20210101"),
    "PatientBirthDate": ("19500101", "19700101"),
}


@pytest.mark.parametrize("keyword", WHAT_AN_ACQUISITION_SHARES)
def test_acquisitions_are_split_by_whatever_else_differs(tmp_path, keyword):
    both(tmp_path, STEP / 2, keyword, WHAT_AN_ACQUISITION_SHARES[keyword])
    check_both(tmp_path)
    told = " ".join(str(one) for one in discover([tmp_path]).found)
    assert keyword in told
    assert "arterial" not in told.replace("series_description='arterial'", "")


def one(**attributes: object):
    ds = Dataset()
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return [ds]


# By elements that no list of ours names.
WHATEVER_ELSE = {
    "ContrastBolusVolume": (0, 100),
    "ContrastBolusAgentSequence": (one(CodeValue="1"), one(CodeValue="2")),
    "MRDiffusionSequence": (one(DiffusionGradientOrientation=[0, 0, 1]), one(DiffusionGradientOrientation=[0, 1, 0])),
    "InPlanePhaseEncodingDirection": ("ROW", "COL"),
    "AcquisitionMatrix": ([0, 256, 256, 0], [0, 128, 128, 0]),
    "XRayTubeCurrent": (100, 300),
    "StudyID": ("1", "2"),
    "AcquisitionDateTime": ("20200102120000", "20200102120500"),
}


@pytest.mark.parametrize("shift", [1.1, STEP / 2])
@pytest.mark.parametrize("keyword", WHATEVER_ELSE)
def test_acquisitions_are_split_by_what_no_list_names(tmp_path, keyword, shift):
    both(tmp_path, shift, keyword, WHATEVER_ELSE[keyword])
    found = discover([tmp_path]).found
    assert [len(scan.files) for scan in found] == [9, 9]
    assert {scan.volume.split(" ", 1)[1] for scan in found} == {f"{keyword} 1", f"{keyword} 2"}
    check_both(tmp_path)


def test_times_of_mr_that_alternate_are_a_warning(tmp_path):
    """Of one MR acquisition every second slice may be acquired first, too."""
    write_series(
        tmp_path,
        grid(),
        modality="MR",
        edit=lambda ds, k: setattr(ds, "AcquisitionDateTime", ("20200102120000", "20200102120500")[k % 2]),
    )
    scan = load_scan(tmp_path)
    check(scan)
    (warning,) = scan.source.warnings
    assert warning.startswith("AcquisitionDateTime differs (5, 4 images) from slice to slice")


@pytest.mark.parametrize("keyword", ["HeartRate", "XRayTubeCurrent", "ImageComments"])
def test_what_differs_from_slice_to_slice_tells_nothing(tmp_path, keyword):
    write_series(tmp_path, grid(), edit=lambda ds, k: setattr(ds, keyword, str(60 + k * k % 7)))
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.source.warnings == ()


@pytest.mark.parametrize(
    ("element", "vr", "owner", "values"),
    [
        ((0x0019, 0x0C), "IS", "SIEMENS MR HEADER", (0, 1000)),
        ((0x0043, 0x39), "IS", "GEMS_PARM_01", ([0, 8], [1000, 8])),
        ((0x2001, 0x03), "FL", "Philips Imaging DD 001", (0.0, 1000.0)),
        ((0x0043, 0x2F), "SS", "GEMS_PARM_01", (0, 1)),
    ],
)
def test_acquisitions_are_split_by_what_the_maker_says(tmp_path, element, vr, owner, values):
    for n in (0, 1):
        where = grid(step=STEP)
        where.positions[:, 2] += STEP / 2 * n

        def edit(ds: Dataset, k: int, n: int = n) -> None:
            _as_one_series(n)(ds, k)
            ds.private_block(element[0], owner, create=True).add_new(element[1], vr, values[n])

        write_series(tmp_path, where, name=f"part{n}", values=lambda w, n=n: encode(w) + PHASE * n, edit=edit)
    check_both(tmp_path)


@pytest.mark.parametrize("count", [2, 3])
def test_what_no_header_tells_apart_the_pixels_do(tmp_path, count):
    for n in range(count):
        where = grid(step=STEP)
        where.positions[:, 2] += STEP / count * n
        write_series(
            tmp_path,
            where,
            name=f"part{n}",
            values=lambda w, n=n: encode(w) + PHASE * n,
            edit=_as_one_series(n),
        )
    with pytest.raises(InputError, match=f"every {('second', 'third')[count - 2]} slice .* several acquisitions"):
        load_scan(tmp_path)


def test_two_names_without_an_id_are_two_patients(tmp_path):
    def edit(n: int, **more: str):
        return _as_one_series(n, PatientID="", PatientName=("A^Anna", "B^Berta")[n], **more)

    for n in (0, 1):
        where = grid(step=STEP)
        where.positions[:, 2] += 60 * n
        write_series(tmp_path, where, name=f"part{n}", edit=edit(n))
    with pytest.raises(InputError, match="images of 2 patients") as refused:
        load_scan(tmp_path)
    assert "Anna" not in str(refused.value)
    assert "Anna" not in str([read_header(path).elements for path in tmp_path.iterdir()])


def test_acquisitions_of_different_steps_are_split(tmp_path):
    both(tmp_path, 1.0, "ConvolutionKernel", ("B30f", "B70f"), steps=(STEP, 1.5))
    check_both(tmp_path)


@pytest.mark.parametrize("shift", [0.0, 1.1, STEP / 2, 9 * STEP, 400.0])
def test_two_patients_are_refused_wherever_their_slices_lie(tmp_path, shift):
    both(tmp_path, shift, "PatientID", ("MRN-1", "MRN-2"))
    with pytest.raises(InputError, match=r"images of 2 patients \(Patient ID\)") as refused:
        load_scan(tmp_path)
    assert "MRN" not in str(refused.value)


def test_stretches_one_above_the_other_stay_together_with_a_warning(tmp_path):
    """As in head CT of old: another tube voltage for the skull base."""
    write_series(tmp_path, grid(), edit=lambda ds, k: setattr(ds, "KVP", 140 if k < 3 else 120))
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.source.warnings == (
        "KVP differs (120: 6, 140: 3): the parts lie one above the other and were read as one volume",
    )


def test_slabs_with_numbers_of_their_own_are_one_volume(tmp_path):
    write_series(tmp_path, grid(), edit=lambda ds, k: setattr(ds, "AcquisitionNumber", k // 3))
    scan = load_scan(tmp_path)
    check(scan)
    assert scan.source.warnings == ()


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("ImageType", (M, P)),
        ("ContrastBolusAgent", ("", "IOHEXOL")),
        ("EchoTime", (2, 8)),
        ("TemporalPositionIdentifier", (1, 2)),
        ("SeriesNumber", (3, 4)),
        ("AcquisitionDate", ("20200102", "20200305")),
        ("StudyDate", ("20200102", "20200103")),
        ("Modality", ("MR", "OT")),
        ("PatientPosition", ("HFS", "FFS")),
        ("SeriesDescription", ("of Anna", "of Berta")),
    ],
)
@pytest.mark.parametrize("first", [3, 8])
def test_stretches_of_several_acquisitions_are_warned_of(tmp_path, keyword, values, first):
    write_series(tmp_path, grid(), modality="MR", edit=lambda ds, k: setattr(ds, keyword, values[k >= first]))
    scan = load_scan(tmp_path)
    check(scan)
    (warning,) = scan.source.warnings
    assert warning.startswith(f"{keyword} differs (")
    assert warning.endswith(" images): the parts lie one above the other and were read as one volume")
    assert "Anna" not in warning


@pytest.mark.parametrize(("first", "last"), [(1, 9), (9, 1)])
def test_parts_that_count_their_own_images(tmp_path, first, last):
    """Of patients without a name or an ID, one above the other."""
    numbers = [*range(1, 10), *range(first, last + (1 if last > first else -1), 1 if last > first else -1)]

    def nameless(ds: Dataset, k: int) -> None:
        ds.PatientName = ds.PatientID = ""

    write_series(tmp_path, grid(slices=18), numbers=numbers, edit=nameless)
    (warning,) = load_scan(tmp_path).source.warnings
    assert warning == (
        "Instance numbers begin again (9, 9 images): the parts lie one above the other and were read as one volume"
    )


def test_what_counts_slices_and_a_scan_over_midnight_are_no_stretches(tmp_path):
    def edit(ds: Dataset, k: int) -> None:
        ds.AcquisitionDate = ("20200102", "20200103")[k > 4]
        ds.FlipAngle, ds.ContentTime = 10 + k, f"1015{k:02}"

    write_series(tmp_path, grid(), modality="MR", edit=edit)
    assert load_scan(tmp_path).source.warnings == ()


OF_TWO_PATIENTS = {
    "PatientName": ("Anna", "Berta"),
    "PatientBirthDate": ("19500101", "19700101"),
    "PatientSex": "FM",
    "PatientAge": ("050Y", "051Y"),
    "PatientSize": (1.7, 1.71),
    "PatientWeight": (70, 81.5),
}


@pytest.mark.parametrize("keyword", OF_TWO_PATIENTS)
@pytest.mark.parametrize("of_another", [{5, 6, 7, 8}, {8}, {2, 5}])
def test_what_may_be_two_patients_is_a_warning(tmp_path, keyword, of_another):
    values = OF_TWO_PATIENTS
    write_series(tmp_path, grid(), edit=lambda ds, k: setattr(ds, keyword, values[keyword][k in of_another]))
    (warning,) = load_scan(tmp_path).source.warnings
    assert warning.startswith(f"{keyword} differs (")
    assert warning.endswith("they may be of several patients")
    assert "Anna" not in warning


def test_mixed_without_any_order_is_refused(tmp_path):
    write_series(tmp_path, grid(), edit=lambda ds, k: setattr(ds, "KVP", 140 if k in (1, 2, 5) else 120))
    with pytest.raises(InputError, match=r"several acquisitions .* KVP differs \(120: 6, 140: 3\)"):
        load_scan(tmp_path)


def test_an_image_type_that_differs_here_and_there_is_a_warning(tmp_path):
    write_series(tmp_path, grid(), edit=lambda ds, k: setattr(ds, "ImageType", P if k in (1, 2, 5) else M))
    scan = load_scan(tmp_path)
    check(scan)
    assert "ImageType differs" in scan.source.warnings[0]


def test_acquisition_times_of_every_second_slice_are_one_volume(tmp_path):
    """Slices of one MR acquisition are often acquired every second first."""
    write_series(tmp_path, grid(), modality="MR", edit=lambda ds, k: setattr(ds, "AcquisitionTime", f"10150{k % 2}"))
    assert len(discover([tmp_path]).found) == 1


@pytest.mark.parametrize("shift", [0.0, 1.1, STEP / 2])
def test_enhanced_objects(tmp_path, shift):
    """Objects of one series are acquisitions of their own, whatever their headers say."""
    for n in (0, 1):
        where = grid(step=STEP)
        where.positions[:, 2] += shift * n

        def edit(ds: Dataset, n: int = n) -> None:
            ds.SeriesInstanceUID, ds.StudyInstanceUID, ds.FrameOfReferenceUID = "2.25.7", "2.25.8", "2.25.9"

        write_enhanced(
            tmp_path / f"{n}.dcm", where, name=f"o{n}", values=lambda w, n=n: encode(w) + PHASE * n, edit=edit
        )
    check_both(tmp_path)


@pytest.mark.parametrize("shift", [0.0, 1.1, STEP / 2])
@pytest.mark.parametrize(
    ("group", "keyword", "values"),
    [
        ("CTReconstructionSequence", "ConvolutionKernel", ("B30f", "B70f")),
        ("CTXRayDetailsSequence", "KVP", (80.0, 140.0)),
        ("MRDiffusionSequence", "DiffusionBValue", (0.0, 1000.0)),
        ("MRModifierSequence", "InversionTimes", ([50.0], [800.0])),
        ("MREchoSequence", "EffectiveEchoTime", (10.0, 90.0)),
        ("FrameContentSequence", "FrameAcquisitionNumber", (1, 2)),
        ("TemporalPositionSequence", "TemporalPositionTimeOffset", (0.0, 60.0)),
        ("MRArterialSpinLabelingSequence", "ASLContext", ("LABEL", "CONTROL")),
        ("CTExposureSequence", "XRayTubeCurrentInmA", (100.0, 300.0)),
        ("RespiratorySynchronizationSequence", "NominalRespiratoryTriggerDelayTime", (50.0, 450.0)),
        ("FrameContentSequence", "DimensionIndexValues", ([1, 1], [2, 1])),
    ],
)
def test_frames_of_one_enhanced_object(tmp_path, group, keyword, values, shift):
    where = grid(step=STEP)
    where = replace(where, positions=np.concatenate([where.positions, where.positions + np.array([0, 0, shift])]))

    def edit(ds: Dataset) -> None:
        pixels = np.frombuffer(ds.PixelData, "<u2").reshape(18, -1).copy()
        pixels[9:] += int(PHASE)
        ds.PixelData = pixels.tobytes()
        for k, groups in enumerate(ds.PerFrameFunctionalGroupsSequence):
            if group not in groups:
                setattr(groups, group, [Dataset()])
            setattr(groups[group].value[0], keyword, values[k // 9])

    write_enhanced(tmp_path / "x.dcm", where, edit=edit)
    check_both(tmp_path)


@pytest.mark.parametrize("shift", [0.5, 1.1, 3.2])
@pytest.mark.parametrize("allow_uneven", [False, True])
def test_slices_in_turn_are_no_missing_ones(tmp_path, shift, allow_uneven):
    """Of two acquisitions that no header tells apart."""
    for n in (0, 1):
        where = grid(step=STEP)
        where.positions[:, 2] += shift * n
        write_series(tmp_path, where, name=f"part{n}", edit=_as_one_series(n))
    with pytest.raises(InputError, match=r"[\d.]+ and [\d.]+ mm apart in turn, as of two acquisitions") as refused:
        load_scan(tmp_path, allow_uneven=allow_uneven)
    assert "uneven" not in str(refused.value)
