"""Markers planted wherever an object can hold bytes: a search of the raw output finds none of them."""

import json
import struct
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import pixel_array
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless
from small_labels import MODEL, some_labels
from small_series import small_series

from medseg.cli.app import run
from medseg.io.dicom.header import lenient
from medseg.io.dicom.jpeg import decoder_of
from medseg.io.dicom_results.rtstruct import read_rtstruct
from medseg.io.discover import survey
from medseg.io.formats import Labeled, write
from medseg.privacy.cleaning import Kept
from medseg.privacy.deidentify import Deidentified, deidentify_folder
from medseg.privacy.record import REPORT_FILE

KEY = b"sixteen bytes or more"
# Patient, referring physician, operator, institution, its town, number, date of birth, date of the study.
MARKERS = ("Quimby", "Fritzsche", "Hartwell", "Oleander", "Evergreen", "Zwiesel", "MRN-77-4711", "19700203", "20240203")
WHO = {
    "PatientName": "Quimby^Fritzsche",
    "PatientID": "MRN-77-4711",
    "ReferringPhysicianName": "Hartwell^Ada",
    "OperatorsName": "Tech^Oleander",
    "InstitutionName": "Evergreen Hospital Zwiesel",
    "AccessionNumber": "ACC-31415",
}


def marked(folder: Path, edit=lambda dataset: None, size=(8, 6), **elements: object) -> list[Path]:
    source, _ = small_series(folder, shape=(*size, 2), **WHO, **elements)
    for path in source.files:
        dataset = pydicom.dcmread(path)
        with lenient():
            edit(dataset)
            dataset.save_as(path)
    return list(source.files)


def left_in(folder: Path) -> set[str]:
    """Markers in any file of a folder, in any usual encoding, or in a name."""
    found = set()
    for path in folder.rglob("*"):
        content = path.read_bytes().lower() if path.is_file() else b""
        for marker in MARKERS:
            codes = (marker.lower().encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be"))
            if any(code in content for code in codes) or marker.lower() in str(path.relative_to(folder)).lower():
                found.add(marker)
    return found


def cleaned(tmp_path: Path, **options: object) -> Deidentified:
    return deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY, **options)


ITEM = Dataset()
ITEM.CodeValue, ITEM.CodingSchemeDesignator, ITEM.CodeMeaning = "X1", "99LOCAL", "sign of Hartwell in Zwiesel"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("ConvolutionKernel", "B30f Evergreen"),
        ("ManufacturerModelName", "Model of Zwiesel"),
        ("SoftwareVersions", "v1 of OLEANDER"),
        ("ScanOptions", "EVERGREEN_OPT"),
        ("FilterType", "HARTWELL"),
        ("SequenceName", "quimby_se"),
        ("BodyPartExamined", "ZWIESEL"),
        ("DataSetName", "made on 2024-02-03"),
        ("AnatomicRegionSequence", [ITEM]),
        ("ContentQualification", "QUIMBY"),
        ("TextComments", "Emil, brother of nobody named here"),
        ("ICCProfile", b"profile of Quimby"),
        ("DataSetTrailingPadding", b"Quimby"),
        ("SpectroscopyAcquisitionDataColumns", 1),
        ("OriginalAttributesSequence", [ITEM]),
    ],
)
def test_whatever_the_element(tmp_path, keyword, value):
    marked(tmp_path / "in", **{keyword: value})
    assert len(cleaned(tmp_path).written) == 2
    assert left_in(tmp_path / "clean") == set()
    assert not any(b"Emil" in path.read_bytes() for path in (tmp_path / "clean").rglob("*.dcm"))


def test_numbers_and_names_that_stand_deep_inside(tmp_path):
    """Former numbers and other people, named in a sequence only, are looked for everywhere."""
    former = Dataset()
    former.PatientID, former.PatientName = "OLD-331-77", "Winterbottom^Otto"
    marked(tmp_path / "in", OtherPatientIDsSequence=[former], SeriesDescription="x", SequenceName="winterbottom")
    marked(tmp_path / "in" / "more", ConvolutionKernel="OLD-331-77")
    cleaned(tmp_path)
    content = b"".join(path.read_bytes().lower() for path in (tmp_path / "clean").rglob("*.dcm"))
    assert b"winterbottom" not in content
    assert b"old-331-77" not in content


def test_what_is_no_name_is_kept(tmp_path):
    marked(tmp_path / "in", ConvolutionKernel="B30f", BodyPartExamined="HEAD", ManufacturerModelName="Hospital 7")
    for path in cleaned(tmp_path).written:
        dataset = pydicom.dcmread(path)
        assert (dataset.ConvolutionKernel, dataset.BodyPartExamined) == ("B30f", "HEAD")
        assert (dataset.ManufacturerModelName, dataset.Manufacturer) == ("Hospital 7", "Maker")


def test_a_name_beside_the_kinds_of_an_image(tmp_path):
    kinds = ["ORIGINAL", "PRIMARY", "AXIAL"]
    former = Dataset()
    former.PatientName = "Winterbottom^Otto"
    marked(tmp_path / "in", OtherPatientIDsSequence=[former], ImageType=[*kinds, "WINTERBOTTOM", "M"])
    for path in cleaned(tmp_path).written:
        assert list(pydicom.dcmread(path).ImageType) == [*kinds, "M"]


def test_what_was_empty_stays_empty(tmp_path):
    """A native scan must not come out as one with contrast."""
    marked(tmp_path / "in", ContrastBolusAgent="", ProtocolName="", DeviceSerialNumber="7", StationName="")
    for path in cleaned(tmp_path).written:
        dataset = pydicom.dcmread(path)
        assert not any(dataset.get(k) for k in ("ContrastBolusAgent", "ProtocolName", "StationName"))
        assert dataset.DeviceSerialNumber == "removed"


@pytest.mark.parametrize("signed", [0, 1])
def test_unused_bits_and_bytes_after_the_last_pixel(tmp_path, signed):
    stored = np.random.default_rng(0).integers(-2048 if signed else 0, 2048, 48)

    def edit(dataset):
        dataset.PixelRepresentation = signed
        values = (stored & 0x0FFF).astype("<u2")
        letters = np.frombuffer(b"Quimby Fritzsche MRN-77-4711 Hartwell 1234567890", np.uint8)
        dataset.PixelData = (values | (letters.astype("<u2") & 0xF) << 12).tobytes() + b"Quimby Fritzsche"

    marked(tmp_path / "in", edit)
    for path in cleaned(tmp_path).written:
        content = pydicom.dcmread(path).PixelData
        assert np.array_equal(np.frombuffer(content, "<i2"), stored)  # nothing else: above them is the sign alone
    assert left_in(tmp_path / "clean") == set()


def commented(frame: bytes, kind: str) -> bytes:
    """A compressed frame with a comment or an application segment after its start."""
    text = b"Patient Quimby Fritzsche MRN-77-4711"
    if kind == "end":
        return frame + text
    marker = {"comment": b"\xff\xfe", "application": b"\xff\xe1"}[kind]
    return frame[:2] + marker + struct.pack(">H", len(text) + 2) + text + frame[2:]


@pytest.mark.parametrize(
    ("syntax", "kind"),
    [
        *(
            (syntax, kind)
            for syntax in (JPEGLSLossless, JPEGBaseline8Bit)
            for kind in ("comment", "application", "end")
        ),
        (JPEG2000Lossless, "end"),
        (RLELossless, "end"),
    ],
)
def test_segments_of_compressed_pixels(tmp_path, syntax, kind):
    before = []

    def edit(dataset):
        values = np.random.default_rng(0).integers(0, 200, (64, 80))
        if syntax == JPEGBaseline8Bit:
            from io import BytesIO

            from PIL import Image

            stream = BytesIO()
            Image.fromarray(values.astype(np.uint8)).save(stream, "JPEG")
            frame = stream.getvalue()
            dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
            dataset.file_meta.TransferSyntaxUID = syntax
        else:
            dataset.PixelData = values.astype("<u2").tobytes()
            dataset.compress(syntax, generate_instance_uid=False)
            frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
        frame = commented(frame, kind)
        dataset.PixelData = encapsulate([frame + b"\0" * (len(frame) % 2)])
        dataset["PixelData"].VR, dataset["PixelData"].is_undefined_length = "OB", True
        before.append(pixel_array(dataset, decoding_plugin=decoder_of(syntax)))

    marked(tmp_path / "in", edit, (80, 64))
    assert left_in(tmp_path / "in") >= {"Quimby", "Fritzsche"}
    written = cleaned(tmp_path).written
    assert len(written) == 2
    for path in written:
        assert np.array_equal(pydicom.dcmread(path).pixel_array, before[0])
    assert left_in(tmp_path / "clean") == set()


def test_a_table_of_contents_is_skipped_and_no_failure(tmp_path, capsys):
    marked(tmp_path / "in")
    contents = pydicom.dcmread(next((tmp_path / "in").iterdir()))
    for keyword in ("SOPClassUID", "SOPInstanceUID", "PixelData", "Rows", "Columns"):
        del contents[keyword]
    contents.file_meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
    pydicom.dcmwrite(tmp_path / "in" / "DICOMDIR", contents)
    assert run(["deidentify", str(tmp_path / "in"), "--out", str(tmp_path / "clean"), "--json"]) == 0
    (left,) = json.loads(capsys.readouterr().out)["skipped"]
    assert "table of contents" in left["reason"]
    assert left_in(tmp_path / "clean") == set()
    assert run(["deidentify", str(tmp_path / "in" / "DICOMDIR"), "--out", str(tmp_path / "alone")]) == 4
    assert "Give the folder it lies in." in capsys.readouterr().err


@pytest.mark.parametrize("place", ["clean/key.txt", "clean/deep/key.txt", "clean/../clean/key.txt"])
def test_the_key_is_never_inside_the_output(tmp_path, capsys, place):
    marked(tmp_path / "in")
    arguments = ["deidentify", str(tmp_path / "in"), "--out", str(tmp_path / "clean"), "--key", str(tmp_path / place)]
    assert run(arguments) == 2
    assert not list(tmp_path.rglob("key.txt"))


def test_of_objects_that_share_a_uid_the_second_is_not_lost(tmp_path):
    first, second = marked(tmp_path / "in")
    dataset = pydicom.dcmread(second)
    dataset.SOPInstanceUID = pydicom.dcmread(first).SOPInstanceUID
    dataset.save_as(second)
    result = cleaned(tmp_path)
    assert len(result.written) == 1
    assert [left.reason for left in result.skipped] == ["another object with the same SOP instance UID was written"]


def test_one_patient_however_the_number_is_written(tmp_path):
    marked(tmp_path / "in" / "a")
    for path in marked(tmp_path / "in" / "b"):
        dataset = pydicom.dcmread(path)
        dataset.PatientID = "mrn-77-4711 "
        dataset.save_as(path)
    assert len({path.parts[-3] for path in cleaned(tmp_path).written}) == 1


@pytest.mark.parametrize(
    "times",
    [
        {"AcquisitionTime": ("101500", "101530")},
        {"AcquisitionDateTime": ("20240203101500.1", "20240203101530.2")},
        {"ContentTime": ("101500", "101530")},
        {"AcquisitionDate": ("20240203", "20240204"), "AcquisitionTime": ("235959", "000010")},
    ],
)
def test_phases_that_differ_by_time_stay_apart(tmp_path, times):
    source, _ = small_series(tmp_path / "in" / "first", shape=(8, 6, 4))
    second, _ = small_series(tmp_path / "in" / "second", shape=(8, 6, 4))
    numbers = np.random.default_rng(0).permutation(8) + 1  # tells nothing
    for phase, files in enumerate((source.files, second.files)):
        for k, path in enumerate(files):
            dataset = pydicom.dcmread(path)
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = source.study_uid, source.series_uid
            dataset.FrameOfReferenceUID, dataset.InstanceNumber = source.frame_of_reference_uid, numbers[4 * phase + k]
            for keyword, values in times.items():
                setattr(dataset, keyword, values[phase])
            dataset.save_as(path)
    before = [len(found.files) for found in survey([tmp_path / "in"]).discovery.found]
    assert before == [4, 4]
    cleaned(tmp_path)
    found = survey([tmp_path / "clean"]).discovery.found
    assert [len(one.files) for one in found] == before
    phases = [{str(pydicom.dcmread(p).TemporalPositionIdentifier) for p in one.files} for one in found]
    assert sorted(phases, key=str) == [{"1"}, {"2"}]


def test_times_of_single_slices_make_no_phases(tmp_path):
    for k, path in enumerate(marked(tmp_path / "in")):
        dataset = pydicom.dcmread(path)
        dataset.AcquisitionTime = f"10150{k}"
        dataset.save_as(path)
    for path in cleaned(tmp_path).written:
        assert "TemporalPositionIdentifier" not in pydicom.dcmread(path)


def codes(path: Path) -> set[str]:
    return {item.CodeValue for item in pydicom.dcmread(path).DeidentificationMethodCodeSequence}


def test_kept_uids(tmp_path):
    before = {str(pydicom.dcmread(path).SOPInstanceUID): path for path in marked(tmp_path / "in")}
    for path in cleaned(tmp_path, kept=Kept(uids=True)).written:
        dataset = pydicom.dcmread(path)
        original = pydicom.dcmread(before.pop(str(dataset.SOPInstanceUID)))
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
            assert dataset[keyword].value == original[keyword].value
        assert codes(path) == {"113100", "113110"}
    assert not before
    assert left_in(tmp_path / "clean") == set()


def test_shifted_dates(tmp_path):
    """Every date of a patient moves by the same days; times, and so every distance, are kept."""
    marked(tmp_path / "in" / "a", SeriesTime="101500", AcquisitionDateTime="20240203101502.5")
    marked(tmp_path / "in" / "b", AcquisitionDateTime="20240305101502.5", SeriesDate="20240302")
    moved = set()
    for path in cleaned(tmp_path, kept=Kept(dates=True)).written:
        dataset = pydicom.dcmread(path)
        assert dataset.AcquisitionDateTime[8:] == "101502.5"
        assert (dataset.StudyTime, dataset.PatientBirthDate) == ("101112", "")
        moved.add((dataset.StudyDate, dataset.AcquisitionDateTime[:8], dataset.get("SeriesDate")))
        assert dataset.LongitudinalTemporalInformationModified == "MODIFIED"
        assert codes(path) == {"113100", "113107"}
    assert len(moved) == 2
    days = [np.datetime64(f"{d[:4]}-{d[4:6]}-{d[6:]}") for d in sorted({date for one in moved for date in one if date})]
    assert [int((day - days[0]).astype(int)) for day in days] == [0, 28, 31]
    assert str(days[0]) < "2024-02-03"
    assert left_in(tmp_path / "clean") == set()


def test_kept_descriptors(tmp_path):
    source, geometry = small_series(
        tmp_path / "in", **WHO, SeriesDescription="QUIMBY arterial", StudyDescription="liver for Dr Hartwell"
    )
    write("rtstruct", Labeled(some_labels(geometry), source, MODEL), tmp_path / "in")
    (tmp_path / "in" / "labels.rtstruct.json").unlink()
    structures = pydicom.dcmread(tmp_path / "in" / "labels.rtstruct.dcm")
    for roi, name in zip(
        structures.StructureSetROISequence, ("GTV Hartwell 2024-02-03", "CTV of Mr Nobody", "PTV"), strict=True
    ):
        roi.ROIName = name
    structures.save_as(tmp_path / "in" / "labels.rtstruct.dcm")
    for kept, names in ((True, ["GTV", "CTV of", "PTV"]), (False, ["", "", ""])):
        out = tmp_path / f"clean-{kept}"
        written = deidentify_folder([tmp_path / "in"], out, key=KEY, kept=Kept(descriptors=kept)).written
        for path in written:
            dataset = pydicom.dcmread(path)
            assert ("113105" in codes(path)) == kept
            if dataset.Modality == "RTSTRUCT":
                assert [roi.ROIName for roi in dataset.StructureSetROISequence] == names
            else:
                assert dataset.get("SeriesDescription") == ("arterial" if kept else None)
                assert dataset.get("StudyDescription") == ("liver for" if kept else None)
        assert left_in(out) == set()
        assert json.loads((out / REPORT_FILE).read_text())["options"] == (
            ["113105 Clean Descriptors Option"] if kept else []
        )


def test_options_of_the_command_line(tmp_path, capsys):
    marked(tmp_path / "in")
    options = ["--keep-uids", "--shift-dates", "--keep-descriptors"]
    assert run(["deidentify", str(tmp_path / "in"), "--out", str(tmp_path / "clean"), *options]) == 0
    for path in (tmp_path / "clean").rglob("*.dcm"):
        assert codes(path) == {"113100", "113105", "113107", "113110"}


@pytest.mark.filterwarnings("ignore:The value for the data element")
def test_long_contours_of_unknown_kind_are_kept(tmp_path):
    source, geometry = small_series(tmp_path / "in", shape=(120, 120, 1))
    labels = some_labels(geometry)
    labels.array[2:-2, 2:-2] = np.random.default_rng(0).random((116, 116, 1)) < 0.7
    write("rtstruct", Labeled(labels, source, MODEL), tmp_path / "rt")
    dataset = pydicom.dcmread(tmp_path / "rt" / "labels.rtstruct.dcm")
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    pydicom.dcmwrite(tmp_path / "in" / "rt.dcm", dataset, implicit_vr=False, little_endian=True)
    for path in cleaned(tmp_path).written:
        if pydicom.dcmread(path).Modality == "RTSTRUCT":
            assert np.array_equal(read_rtstruct(path, geometry).array, labels.array)
            return
    pytest.fail("the structure set is missing")


def test_a_number_of_the_wrong_length_costs_one_object(tmp_path):
    """pydicom reads such an element only when it is asked for, and then raises."""
    first, _ = marked(tmp_path / "in")
    content = first.read_bytes()
    at = content.index(b"\x28\x00\x10\x00US\x02\x00")  # rows
    first.write_bytes(content[: at + 6] + b"\x01\x00" + content[at + 8 : at + 9] + content[at + 10 :])
    result = cleaned(tmp_path)
    assert len(result.written) == 1
    (left,) = result.skipped
    assert "report" not in left.reason
