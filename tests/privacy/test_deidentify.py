"""De-identification: nothing of the patient left, everything that refers to something still does."""

import json
import stat
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest
from peer_tools import dicom_errors
from pydicom.dataset import Dataset
from small_labels import MODEL, some_labels, world
from small_series import small_multiframe, small_series

from medseg.cli.app import run
from medseg.errors import UsageError
from medseg.io.dicom_results.read_seg import read_seg
from medseg.io.dicom_results.rtstruct import read_rtstruct
from medseg.io.formats import Labeled, write
from medseg.io.read import load_scan
from medseg.log_file import LOG_NAME
from medseg.privacy import deidentify as module
from medseg.privacy.cleaning import Kept
from medseg.privacy.deidentify import Deidentified, deidentify_folder, read_key
from medseg.privacy.record import REPORT_FILE
from medseg.types import LabelMap
from medseg.versions import versions

KEY = b"sixteen bytes or more"
SECRETS = ("Quimby", "Fritzsche", "MRN-77-4711", "19700203", "ACC-31415", "Evergreen", "Dr. Hartwell", "Elm Street 5")


@pytest.fixture
def study(tmp_path) -> tuple[Path, LabelMap]:
    """An MR series with its SEG, RTSTRUCT and SR, and the patient's data wherever a careless sender may put them."""
    nested, private = Dataset(), Dataset()
    nested.PatientName = "Quimby^Fritzsche"
    nested.ReferencedSOPClassUID, nested.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4"
    nested.CodeMeaning = "seen by quimby"
    private.PatientID = "MRN-77-4711"
    source, geometry = small_series(
        tmp_path / "study" / "mr",
        PatientName="Quimby^Fritzsche",
        PatientID="MRN-77-4711",
        AccessionNumber="ACC-31415",
        InstitutionName="Evergreen Hospital",
        ReferringPhysicianName="Dr. Hartwell",
        PatientAddress="Elm Street 5",
        SeriesDescription="t1 for Quimby",
        ImageComments="Fritzsche, born 19700203",
        AcquisitionDate="20240203",
        RequestAttributesSequence=[nested],
        ReferencedImageSequence=[nested],
        BodyPartExamined="HEAD",
        ScanOptions="QUIMBY",
        DataSetName="copy of MRN-77-4711",
    )
    for path in source.files:
        image = pydicom.dcmread(path)
        block = image.private_block(0x0019, "MAKER", create=True)
        block.add_new(0x10, "LO", "Quimby")
        block.add_new(0x11, "SQ", [private])
        image.add_new(0x60003000, "OW", b"Quimby00")
        image.preamble = b"Quimby".ljust(128, b"\0")
        image.file_meta.SourceApplicationEntityTitle = "EVERGREEN"
        image.save_as(path)
    labels = some_labels(geometry)
    for name in ("dicom-seg", "rtstruct", "sr"):
        write(name, Labeled(labels, source, MODEL), tmp_path / "study" / "out")
    (tmp_path / "study" / "notes about Quimby.txt").write_text("Quimby")
    return tmp_path / "study", labels


def of_class(result: Deidentified, name: str) -> list[Path]:
    return [path for path in result.written if pydicom.dcmread(path).SOPClassUID.name == name]


def test_nothing_of_the_patient_is_left(tmp_path, study):
    result = deidentify_folder([study[0]], tmp_path / "clean", key=KEY)
    assert len(result.written) == 6 + 3
    for path in [*result.written, tmp_path / "clean" / REPORT_FILE, tmp_path / "clean" / LOG_NAME]:
        content = path.read_bytes().lower()
        name = str(path.relative_to(tmp_path / "clean")).lower()
        for secret in SECRETS:
            assert secret.lower().encode() not in content, (secret, path.name)
            assert secret.lower() not in name
    for path in result.written:
        dataset = pydicom.dcmread(path)
        assert dataset.PatientIdentityRemoved == "YES"
        assert dataset.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
        assert dataset.PatientID.startswith("P-")
        assert dataset.StudyDate == ""
        assert not [e for e in dataset.iterall() if e.tag.is_private]
    assert len({pydicom.dcmread(p).PatientID for p in result.written}) == 1


def test_the_log_counts_what_was_done_and_names_no_file(tmp_path, study):
    small_series(study[0] / "sc", shape=(8, 8, 1), BurnedInAnnotation="YES")
    deidentify_folder([study[0]], tmp_path / "clean", key=KEY)
    text = (tmp_path / "clean" / LOG_NAME).read_text()
    assert f"medseg {versions()['medseg']}" in text
    assert "Written: 6: MR Image Storage" in text
    assert "Skipped: 1: " in text
    assert "Emptied outside the table: DataSetName in 6 places" in text
    for path in (path for path in study[0].rglob("*") if path.is_file()):
        assert path.name not in text
    assert str(tmp_path) not in text


def test_text_outside_the_table_is_searched_for_identifiers(tmp_path, study):
    result = deidentify_folder([study[0]], tmp_path / "clean", key=KEY)
    assert (result.leaks["DataSetName"], result.leaks["ScanOptions"]) == (6, 6)
    report = json.loads((tmp_path / "clean" / REPORT_FILE).read_text())
    assert report["identifiers_found_outside_the_table"] == result.leaks
    assert report["objects"]["MR Image Storage"] == 6


def test_references_hold_and_results_lie_where_they_lay(tmp_path, study):
    folder, labels = study
    result = deidentify_folder([folder], tmp_path / "clean", key=KEY)
    (images,) = {path.parent for path in of_class(result, "MR Image Storage")}
    scan = load_scan(images)
    assert scan.geometry.matches(labels.geometry)
    (seg,), (rt,), (sr,) = (
        of_class(result, name)
        for name in ("Segmentation Storage", "RT Structure Set Storage", "Comprehensive SR Storage")
    )
    assert world(read_seg(seg), 1) == world(labels, 1)
    assert np.array_equal(read_rtstruct(rt, scan).array, labels.array)  # checks the frame of reference too
    instances = {pydicom.dcmread(p).SOPInstanceUID for p in of_class(result, "MR Image Storage")}
    dataset = pydicom.dcmread(seg)
    series = dataset.ReferencedSeriesSequence[0]
    assert {image.ReferencedSOPInstanceUID for image in series.ReferencedInstanceSequence} == instances
    assert series.SeriesInstanceUID == scan.source.series_uid
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        assert frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID in instances
    report = hd.sr.srread(sr)
    for number, group in enumerate(report.content.get_volumetric_roi_measurement_groups()):
        assert group.referenced_segment.referenced_sop_instance_uid == dataset.SOPInstanceUID
        assert group.tracking_uid == dataset.SegmentSequence[number].TrackingUID
        assert group.get_measurements()[0].value == pytest.approx((labels.array == number + 1).sum() * 1.2e-3, rel=1e-5)


def identifiers(folder: Path) -> set[str]:
    """Every UID in the objects of a folder, but those the standard gives out."""
    found = [e.value for p in folder.rglob("*.dcm") for e in pydicom.dcmread(p).iterall() if e.VR == "UI" and e.value]
    uids = {str(uid) for value in found for uid in ([value] if isinstance(value, str) else value)}
    return {uid for uid in uids if not uid.startswith("1.2.840.10008.")}


def test_every_identifier_is_replaced_but_those_of_the_standard(tmp_path, study):
    deidentify_folder([study[0]], tmp_path / "clean", key=KEY)
    before, after = identifiers(study[0]), identifiers(tmp_path / "clean")
    assert len(before) >= 6 + 3 + 3
    assert len(after) >= 6 + 3 + 3
    assert not before & after


def test_pixels_and_places_are_untouched(tmp_path, study):
    result = deidentify_folder([study[0]], tmp_path / "clean", key=KEY)
    kept = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "BodyPartExamined", "ImageType")
    before = {image.PixelData: image for image in map(pydicom.dcmread, (study[0] / "mr").iterdir())}
    assert len(before) == 6
    for path in of_class(result, "MR Image Storage"):
        after = pydicom.dcmread(path)
        assert all(after[keyword].value == before[after.PixelData][keyword].value for keyword in kept)


@pytest.mark.parametrize("signed", [0, 1])
def test_big_endian_pixels_keep_their_values(tmp_path, signed):
    source, _ = small_series(tmp_path / "in", shape=(4, 3, 1))
    image = pydicom.dcmread(source.files[0])
    values = np.arange(-6 * signed, 12 - 6 * signed).reshape(3, 4) * 300
    image.BitsStored, image.HighBit, image.PixelRepresentation = 13, 12, signed
    image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRBigEndian
    image.PixelData = values.astype(">i2").tobytes()
    pydicom.dcmwrite(source.files[0], image, enforce_file_format=True)
    (path,) = deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY).written
    np.testing.assert_array_equal(pydicom.dcmread(path).pixel_array, values)


def test_the_same_key_maps_alike_and_another_does_not(tmp_path, study):
    runs = [deidentify_folder([study[0]], tmp_path / n, key=k) for n, k in (("a", KEY), ("b", KEY), ("c", b"x" * 16))]
    names = [[p.relative_to(tmp_path / n).as_posix() for p in r.written] for n, r in zip("abc", runs, strict=True)]
    assert names[0] == names[1]
    assert [p.read_bytes() for p in runs[0].written] == [p.read_bytes() for p in runs[1].written]
    assert not set(names[0]) & set(names[2])


@pytest.mark.parametrize(
    "change",
    [
        {"BurnedInAnnotation": "YES"},
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]},
        {"SOPClassUID": pydicom.uid.SecondaryCaptureImageStorage},
        {"SOPClassUID": pydicom.uid.UltrasoundImageStorage, "BurnedInAnnotation": "NO"},
    ],
)
def test_pixels_in_doubt_are_skipped_unless_somebody_looked(tmp_path, change):
    small_series(tmp_path / "in", shape=(8, 8, 1), **change)
    result = deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY)
    assert result.written == ()
    assert "--allow-burned-in" in (result.skipped[0].fix or "")
    assert not (tmp_path / "clean").exists()
    accepted = deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY, allow_burned_in=True)
    assert len(accepted.written) == 1
    assert json.loads((tmp_path / "clean" / REPORT_FILE).read_text())["pixels_accepted_by_the_user"] is True


@pytest.mark.parametrize(
    "first",
    [{"key": b"another key, as long"}, {"key": KEY, "kept": Kept(uids=True)}, None],
    ids=("key", "options", "foreign"),
)
def test_a_folder_holds_objects_of_one_key_and_of_the_same_options(tmp_path, first):
    small_series(tmp_path / "in", shape=(8, 8, 2))
    out = tmp_path / "clean"
    if first is None:
        small_series(out, shape=(8, 8, 1))
        [path] = list(out.iterdir())
        path.rename(out / "1.dcm")
    else:
        deidentify_folder([tmp_path / "in"], out, **first)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="of another key or of other options"):
        deidentify_folder([tmp_path / "in"], out, key=KEY)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_what_was_interrupted_is_done_by_the_same_again(tmp_path, monkeypatch):
    small_series(tmp_path / "in", shape=(8, 8, 3))
    whole = deidentify_folder([tmp_path / "in"], tmp_path / "whole", key=KEY)
    write_object, calls = module._write, []

    def interrupted(*given):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return write_object(*given)

    monkeypatch.setattr(module, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY)
    again = deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY)
    names = [[path.name for path in one.written] for one in (whole, again)]
    assert names[0] == names[1]


def test_a_secondary_image_is_in_doubt_where_it_has_no_place_in_the_patient(tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 2), ImageType=["DERIVED", "SECONDARY", "REFORMATTED"])
    picture = pydicom.dcmread(source.files[0])
    del picture.ImagePositionPatient
    picture.save_as(source.files[0])
    result = deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY)
    assert len(result.written) == 1
    assert [left.path for left in result.skipped] == [source.files[0]]


def test_an_object_without_names_has_nothing_to_leak(tmp_path):
    small_series(tmp_path / "in", shape=(8, 8, 1), PatientName="REMOVED", DataSetName="name removed")
    assert deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY).leaks == {}


def test_unknown_kinds_and_damaged_files_are_skipped(tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 2))
    plan = pydicom.dcmread(source.files[0])
    del plan.PixelData
    plan.SOPClassUID = pydicom.uid.RTPlanStorage
    plan.save_as(source.files[0])
    source.files[1].write_bytes(source.files[1].read_bytes()[:400])
    result = deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY)
    assert result.written == ()
    assert [left.corrupt for left in result.skipped] == [True, True]


def test_multi_frame_objects(tmp_path):
    _, geometry = small_multiframe(tmp_path / "in" / "mr.dcm")
    (path,) = deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY).written
    assert load_scan(path).geometry.matches(geometry)


def test_keys(tmp_path):
    assert read_key(None) != read_key(None)
    key = read_key(tmp_path / "key.txt")
    assert key == read_key(tmp_path / "key.txt")
    assert stat.S_IMODE((tmp_path / "key.txt").stat().st_mode) == 0o600
    (tmp_path / "short.txt").write_text("password")
    with pytest.raises(UsageError, match="16 bytes"):
        read_key(tmp_path / "short.txt")


def test_output_inside_the_input_is_refused(tmp_path, study):
    with pytest.raises(UsageError, match="inside"):
        deidentify_folder([study[0]], study[0] / "clean", key=KEY)
    (tmp_path / "link").symlink_to(study[0])
    with pytest.raises(UsageError, match="inside"):
        deidentify_folder([study[0]], tmp_path / "link" / "clean", key=KEY)
    with pytest.raises(UsageError, match="inside"):
        deidentify_folder([tmp_path / "link"], study[0] / "clean", key=KEY)


def test_command_line(tmp_path, study, capsys):
    arguments = ["deidentify", str(study[0]), "--out", str(tmp_path / "clean"), "--key", str(tmp_path / "key")]
    assert run([*arguments, "--json", "--quiet"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["written"]) == 9
    assert [left["reason"] for left in printed["skipped"]] == ["it is not DICOM"] * 2
    small_series(study[0] / "sc", shape=(8, 8, 1), BurnedInAnnotation="YES")
    assert run(arguments) == 3
    assert "skipped" in capsys.readouterr().err


@pytest.mark.peers
def test_dciodvfy_finds_no_error_that_was_not_there(tmp_path, study):
    already = {error for path in (study[0] / "mr").iterdir() for error in dicom_errors(path)}
    for path in deidentify_folder([study[0]], tmp_path / "clean", key=KEY).written:
        found = set(dicom_errors(path))
        assert found <= (already if "MR Image" in pydicom.dcmread(path).SOPClassUID.name else set()), path


OTHER_NAMES = {
    "Kowalska": "Müller-Kowalska^Eva",
    "Mueller": "Müller-Kowalska^Eva",
    "MULLER": "Müller^Eva",
    "Müller": "Mueller^Eva",
    "Li^Xu": "Li^Xu",
    "xu li": "Li^Xu",
    "山田": "Yamada^Taro=山田^太郎",
}
TEXTS = ("copy_of_Quimby_2", "xQUIMBYx", "born 03.02.1970", "1970-02-03", "study 1.2.826.0.1.3680043.8.498.1")


@pytest.mark.parametrize("text", [*TEXTS, *OTHER_NAMES])
def test_identifiers_are_found_however_they_are_written(tmp_path, text):
    patient = {"PatientName": OTHER_NAMES.get(text, "Quimby^Fritzsche"), "PatientBirthDate": "19700203"}
    study = {"StudyInstanceUID": "1.2.826.0.1.3680043.8.498.1", "SpecificCharacterSet": "ISO_IR 192"}
    small_series(tmp_path / "in", shape=(8, 8, 1), DataSetName=text, **patient, **study)
    result = deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY)
    assert result.leaks == {"DataSetName": 1}
    assert text.encode() not in result.written[0].read_bytes()


def test_what_one_object_of_a_study_tells_is_looked_for_in_the_others(tmp_path, study):
    """A report that was stripped of the patient's name may tell it all the same; and it is the same patient's still."""
    (path,) = (study[0] / "out").glob("*.seg.dcm")
    seg = pydicom.dcmread(path)
    seg.PatientName = seg.PatientID = seg.PatientBirthDate = ""
    seg.SegmentSequence[0].SegmentDescription = "drawn for Quimby"
    seg.save_as(path)
    result = deidentify_folder([study[0]], tmp_path / "clean", key=KEY)
    (clean,) = of_class(result, "Segmentation Storage")
    assert b"Quimby" not in clean.read_bytes()
    assert len({pydicom.dcmread(p).PatientID for p in result.written}) == 1


def test_moments_names_addresses_and_unknown_elements_outside_the_table_go(tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 1))
    image = pydicom.dcmread(source.files[0])
    image.SecondaryReviewDate, image.SecondaryReviewerName = "20240203", "Hartwell"
    image.RetrieveURL = "http://evergreen.example/studies/1"
    image.add_new(0x00080999, "LO", "Evergreen")
    image.add_new(0x60000022, "LO", "Evergreen")
    image.save_as(source.files[0])
    (path,) = deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY).written
    content = path.read_bytes()
    for word in (b"20240203", b"Hartwell", b"evergreen", b"Evergreen"):
        assert word not in content


def test_a_name_outside_the_table_goes_also_where_it_is_too_short_to_be_searched_for(tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 1))
    image = pydicom.dcmread(source.files[0])
    image.SecondaryReviewerName = "Ng"
    image.save_as(source.files[0])
    (path,) = deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY).written
    assert not pydicom.dcmread(path).get("SecondaryReviewerName")


def test_an_overlay_in_the_unused_bits_is_in_uncertainty(tmp_path):
    source, _ = small_series(tmp_path / "in", shape=(8, 8, 1))
    image = pydicom.dcmread(source.files[0])
    image.add_new(0x60000100, "US", 16)
    image.add_new(0x60000102, "US", 12)
    image.save_as(source.files[0])
    result = deidentify_folder([tmp_path / "in"], tmp_path / "clean", key=KEY)
    assert result.written == ()
    assert "overlay" in result.skipped[0].reason


def test_deeply_nested_sequences_are_refused_at_once(tmp_path):
    small_series(tmp_path / "in", shape=(8, 8, 2))
    deep = min((tmp_path / "in").iterdir())
    item = Dataset()
    for _ in range(100):
        outer = Dataset()
        outer.ReferencedImageSequence = [item]
        item = outer
    dataset = pydicom.dcmread(deep)
    dataset.ReferencedImageSequence = [item]
    dataset.save_as(deep)
    result = deidentify_folder([tmp_path / "in"], tmp_path / "out", key=b"k" * 32)
    assert (len(result.written), len(result.skipped)) == (1, 1)
    assert "nested more than 16 deep" in str(result.skipped)
