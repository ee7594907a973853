"""DICOM SEG: every voxel read back where it was written, whoever reads it, and the same object every time."""

import logging
import time
import warnings

import highdicom as hd
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shared_data import DATA
from small_labels import ANATOMY, MODEL, TABLE, no_labels, nrrd, some_labels, world, written
from small_series import AXIAL, CORONAL, OBLIQUE, SAGITTAL, small_multiframe, small_series

from medseg.errors import FormatLimitation, GeometryMismatch, InputError
from medseg.io.dicom.header import lenient
from medseg.io.dicom_results.seg import read_any_seg, read_seg, write_seg
from medseg.prepare.regrid import regrid
from medseg.types import Code, Geometry, LabelClass, LabelMap, LabelTable, ModelIdentity, Source
from medseg.types.axis_order import AxisOrder

EXAMPLES = DATA / "dicom" / "seg_examples"


@pytest.mark.parametrize("encoding", ["binary", "labelmap", "fractional"])
@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL, OBLIQUE])
@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reversed"])
def test_voxels_come_back_where_they_were(tmp_path, orientation, reverse, encoding):
    path, labels, _ = written(write_seg, tmp_path, orientation=orientation, reverse=reverse, encoding=encoding)
    back = read_seg(path)
    assert back.geometry.shape == (13, 11, 3)  # from the first to the last slice with labels on it
    for value in (1, 2, 3):
        assert world(back, value) == world(labels, value)
    assert [(c.value, c.name, c.code, c.color) for c in back.table] == [
        (1, "liver", Code("10200004", "SCT", "Liver"), (221, 130, 101)),
        (2, "Größe α", ANATOMY, (0, 114, 178)),
        (3, "never found", ANATOMY, (0, 158, 115)),
    ]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    spacing=st.tuples(*[st.floats(0.3, 6)] * 3),
    shape=st.tuples(st.integers(9, 17), st.integers(7, 15), st.integers(4, 7)),
    lean=st.floats(-1.5, 1.5),
)
def test_any_grid_round_trips(tmp_path, angles, spacing, shape, lean):
    from scipy.spatial.transform import Rotation

    axes = Rotation.from_euler("xyz", angles).as_matrix()
    source, geometry = small_series(
        tmp_path, orientation=(axes[:, 0], axes[:, 1]), spacing=spacing, shape=shape, lean=lean * axes[:, 1]
    )
    array = np.zeros(shape, np.uint8)
    array[1:4, 2:5, :] = np.random.default_rng(0).integers(0, 3, (3, 3, shape[2]))
    array[0, 0, 0] = array[-1, -1, -1] = 1  # so that the whole grid comes back
    labels = LabelMap(array, geometry, TABLE)
    write_seg(labels, source, tmp_path / "labels.seg.dcm", model=MODEL)
    back = read_seg(tmp_path / "labels.seg.dcm")
    order = AxisOrder(flips=(False, False, bool(back.geometry.affine[:3, 2] @ geometry.affine[:3, 2] < 0)))
    assert back.geometry.difference(order.geometry(geometry)) < 1e-3
    assert np.array_equal(order.undo(back.array), array)


def test_highdicom_reads_the_same_voxels_in_the_same_place(tmp_path):
    path, labels, _ = written(write_seg, tmp_path, orientation=OBLIQUE)
    volume = hd.seg.segread(path).get_volume(combine_segments=True)
    for value in (1, 2, 3):
        lps = np.argwhere(volume.array == value) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        assert {tuple(p) for p in np.rint(lps * [-100, -100, 100]).astype(int)} == world(labels, value)


def test_the_object_refers_to_its_source_and_says_what_made_it(tmp_path):
    path, _, source = written(write_seg, tmp_path)
    seg = pydicom.dcmread(path)
    instances = [pydicom.dcmread(f).SOPInstanceUID for f in source.files]
    series = seg.ReferencedSeriesSequence[0]
    assert seg.file_meta.TransferSyntaxUID.name == "Explicit VR Little Endian"
    assert (series.SeriesInstanceUID, seg.StudyInstanceUID) == (source.series_uid, source.study_uid)
    assert [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence] == instances
    assert seg.FrameOfReferenceUID == source.frame_of_reference_uid
    for frame in seg.PerFrameFunctionalGroupsSequence:
        image = frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        z = float(pydicom.dcmread(source.files[instances.index(image)]).ImagePositionPatient[2])
        assert float(frame.PlanePositionSequence[0].ImagePositionPatient[2]) == pytest.approx(z)
    assert "research use only" in seg.SeriesDescription
    algorithm = seg.SegmentSequence[0].SegmentationAlgorithmIdentificationSequence[0]
    assert (algorithm.AlgorithmName, algorithm.AlgorithmVersion) == ("hippocampus", "1")
    assert MODEL.hash in str(algorithm.AlgorithmParameters)
    assert (seg.PatientID, str(seg.PatientName), seg.AccessionNumber) == ("P1", "Doe^Jane", "A1")


def test_the_same_input_gives_the_same_file_and_another_gives_other_uids(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    labels = some_labels(geometry)
    other = some_labels(geometry, seed=1)
    write_seg(labels, source, tmp_path / "a.dcm", model=MODEL)
    time.sleep(1.1)  # the clock must leave no trace
    write_seg(labels, source, tmp_path / "b.dcm", model=MODEL)
    assert (tmp_path / "a.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()
    write_seg(other, source, tmp_path / "c.dcm", model=MODEL)
    write_seg(labels, source, tmp_path / "d.dcm", model=ModelIdentity("hippocampus", "2", MODEL.hash))
    objects = [pydicom.dcmread(tmp_path / f"{n}.dcm") for n in "acd"]
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID"):
        assert len({seg[keyword].value for seg in objects}) == 3
    assert (objects[0].ContentDate, objects[0].ContentTime) == ("20240203", "101112")


def test_a_source_with_missing_and_wrong_elements_will_do(tmp_path, caplog):
    source, geometry = small_series(tmp_path / "in", StudyDate=None, StudyTime=None)
    for path in source.files:
        header = pydicom.dcmread(path)
        for keyword in ("AccessionNumber", "ReferringPhysicianName", "SliceThickness", "PatientName"):
            delattr(header, keyword)
        with lenient():
            header.PatientSex, header.PatientBirthDate, header.StudyID = "X?", "about 1970", "longer than sixteen"
            header.save_as(path)
    labels = some_labels(geometry)
    with warnings.catch_warnings(action="error"), caplog.at_level(logging.WARNING):
        write_seg(labels, source, tmp_path / "labels.seg.dcm", model=MODEL)
    assert caplog.text == ""
    seg = pydicom.dcmread(tmp_path / "labels.seg.dcm")
    assert (seg.ContentDate, seg.PatientSex, seg.PatientBirthDate, seg.StudyID) == ("19700101", "", "", "")
    assert world(read_seg(tmp_path / "labels.seg.dcm"), 1) == world(labels, 1)


@pytest.mark.parametrize(
    ("charset", "name"),
    [("ISO_IR 100", "Müller^Jörg"), (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう")],
)
def test_names_in_other_alphabets_survive(tmp_path, charset, name):
    path, _, _ = written(write_seg, tmp_path, SpecificCharacterSet=charset, PatientName=name)
    seg = pydicom.dcmread(path)
    assert str(seg.PatientName) == name
    assert seg.SegmentSequence[1].SegmentLabel == "Größe α"


@pytest.mark.parametrize("encoding", ["binary", "labelmap", "fractional"])
def test_nothing_found_is_still_an_object(tmp_path, encoding):
    back = read_seg(written(write_seg, tmp_path, no_labels, encoding=encoding)[0])
    assert not back.array.any()
    assert [c.name for c in back.table] == ["liver", "Größe α", "never found"]


@pytest.mark.parametrize("encoding", ["binary", "labelmap", "fractional"])
def test_values_that_do_not_count_from_one_are_kept(tmp_path, encoding):
    source, geometry = small_series(tmp_path / "in")
    table = LabelTable((LabelClass(4, "a"), LabelClass(300, "b")))
    array = np.zeros(geometry.shape, np.uint16)
    array[1:4, 2:6, :] = 4
    array[5:9, 2:6, :] = 300
    write_seg(LabelMap(array, geometry, table), source, tmp_path / "labels.seg.dcm", model=MODEL, encoding=encoding)
    back = read_seg(tmp_path / "labels.seg.dcm")
    assert np.array_equal(back.array, array)
    assert [c.value for c in back.table] == [4, 300]


def test_labels_elsewhere_are_refused(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    labels = some_labels(geometry)
    half_a_voxel, mirrored = geometry.affine.copy(), geometry.affine.copy()
    half_a_voxel[:3, 3] += geometry.affine[:3, 0] / 2
    mirrored[:3, 0] *= -1
    for array, affine, message in (
        (labels.array, half_a_voxel, None),
        (labels.array, mirrored, None),
        (labels.array[1:], geometry.affine, "12 x 11 x 6"),
        (np.zeros((13, 11, 7), np.uint8), geometry.affine, "slice 6"),
    ):
        moved = LabelMap(array, Geometry(affine, array.shape), TABLE)
        with pytest.raises(GeometryMismatch, match=message):
            write_seg(moved, source, tmp_path / "labels.seg.dcm", model=MODEL)
    assert not (tmp_path / "labels.seg.dcm").exists()


def test_what_cannot_be_written_is_said(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    labels = some_labels(geometry, LabelTable((LabelClass(1, "liver"),)))
    with pytest.raises(InputError, match="the value 2"):
        write_seg(labels, source, tmp_path / "labels.seg.dcm", model=MODEL)
    with pytest.raises(FormatLimitation, match="DICOM series"):
        write_seg(some_labels(geometry), Source("nifti", (tmp_path / "a.nii.gz",)), tmp_path / "b.dcm", model=MODEL)
    homeless, geometry = small_series(tmp_path / "homeless", FrameOfReferenceUID=None)
    with pytest.raises(FormatLimitation, match="frame of reference"):
        write_seg(some_labels(geometry), homeless, tmp_path / "b.dcm", model=MODEL)


def test_multi_frame_source(tmp_path):
    source, geometry = small_multiframe(tmp_path / "in" / "mr.dcm")
    labels = some_labels(geometry)
    write_seg(labels, source, tmp_path / "labels.seg.dcm", model=MODEL)
    back = read_seg(tmp_path / "labels.seg.dcm")
    assert [world(back, value) for value in (1, 2)] == [world(labels, value) for value in (1, 2)]
    for frame in pydicom.dcmread(tmp_path / "labels.seg.dcm").PerFrameFunctionalGroupsSequence:
        image = frame.DerivationImageSequence[0].SourceImageSequence[0]
        k = round((float(frame.PlanePositionSequence[0].ImagePositionPatient[2]) - 30) / 2.5)
        assert image.ReferencedFrameNumber == 6 - k  # frames are stored from the last slice to the first


def test_slices_spread_over_multi_frame_objects_are_refused(tmp_path):
    source, geometry = small_multiframe(tmp_path / "a.dcm")
    first, second = pydicom.dcmread(source.files[0]), pydicom.dcmread(source.files[0])
    for dataset, frames in ((first, slice(0, 3)), (second, slice(3, 6))):
        dataset.PerFrameFunctionalGroupsSequence = dataset.PerFrameFunctionalGroupsSequence[frames]
        dataset.NumberOfFrames = 3
    first.save_as(tmp_path / "a.dcm")
    second.save_as(tmp_path / "b.dcm")
    both = Source("dicom", (tmp_path / "a.dcm", tmp_path / "b.dcm"))
    with pytest.raises(FormatLimitation, match="several multi-frame"):
        write_seg(some_labels(geometry), both, tmp_path / "labels.seg.dcm", model=MODEL)


def test_tilted_slices_keep_their_tilt(tmp_path):
    path, labels, _ = written(write_seg, tmp_path, lean=(0, 0.9, 0))
    back = read_seg(path)
    assert labels.geometry.is_sheared
    assert back.geometry.is_sheared
    assert [world(back, value) for value in (1, 2)] == [world(labels, value) for value in (1, 2)]


def test_probabilities(tmp_path):
    source, geometry = small_series(tmp_path / "in", orientation=OBLIQUE)
    generator = np.random.default_rng(0)
    probabilities = generator.dirichlet((1, 1, 1, 0.01), geometry.shape).astype(np.float32).transpose(3, 0, 1, 2)
    labels = LabelMap(probabilities.argmax(axis=0).astype(np.uint8), geometry, TABLE)
    path = tmp_path / "labels.fractional.dcm"
    write_seg(labels, source, path, model=MODEL, encoding="fractional", probabilities=probabilities)
    seg = hd.seg.segread(path)
    assert (seg.SegmentationType, seg.SegmentationFractionalType) == ("FRACTIONAL", "PROBABILITY")
    for number in (1, 2, 3):
        volume = seg.get_volume(segment_numbers=[number], rescale_fractional=True)
        back = np.zeros(geometry.shape)
        lps = np.indices(volume.spatial_shape).reshape(3, -1).T @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        voxels = np.rint(geometry.to_voxel(lps * [-1, -1, 1])).astype(int)
        back[tuple(voxels.T)] = volume.array.reshape(-1)
        assert np.abs(back - probabilities[number]).max() <= 0.5 / 255 + 1e-6
    certain = probabilities.max(axis=0) > 0.51
    back = regrid(read_seg(path), geometry)
    assert np.array_equal(back.array[certain], labels.array[certain])
    write_seg(labels, source, tmp_path / "again.dcm", model=MODEL, encoding="fractional", probabilities=probabilities)
    assert (tmp_path / "again.dcm").read_bytes() == path.read_bytes()


def test_fractions_without_scores_say_what_is_inside(tmp_path):
    path, labels, source = written(write_seg, tmp_path, encoding="fractional")
    assert pydicom.dcmread(path).SegmentationFractionalType == "OCCUPANCY"
    assert np.array_equal(regrid(read_seg(path), labels.geometry).array, labels.array)
    with pytest.raises(FormatLimitation, match="gives 3 probabilities"):
        wrong = np.zeros((3, *labels.array.shape), np.float32)
        write_seg(labels, source, tmp_path / "b.dcm", model=MODEL, encoding="fractional", probabilities=wrong)


def test_fractions_and_overlaps(tmp_path):
    source, _ = small_series(tmp_path / "in")
    images = [pydicom.dcmread(f) for f in source.files]
    fractions = np.zeros((6, 11, 13, 2), np.float32)
    fractions[1:3, 2:5, 3:7, 0] = 0.8
    fractions[1:3, 4:7, 3:7, 1] = 0.6  # rows 4 belong to both: the larger fraction wins
    fractions[1:3, 8, 3:7, 1] = 0.4
    alone = {"algorithm_type": "MANUAL", "segmented_property_category": hd.sr.CodedConcept("91723000", "SCT", "x")}
    described = [
        hd.seg.SegmentDescription(n, f"s{n}", segmented_property_type=hd.sr.CodedConcept("1", "99X", "y"), **alone)
        for n in (1, 2)
    ]
    for kind in ("FRACTIONAL", "BINARY"):
        seg = hd.seg.Segmentation(
            source_images=images,
            pixel_array=fractions if kind == "FRACTIONAL" else (fractions > 0).astype(np.uint8),
            segmentation_type=kind,
            segment_descriptions=described,
            **dict.fromkeys(("series_instance_uid", "sop_instance_uid"), hd.UID()),
            **dict.fromkeys(("series_number", "instance_number"), 1),
            **dict.fromkeys(("manufacturer", "manufacturer_model_name"), "m"),
            **dict.fromkeys(("software_versions", "device_serial_number"), "1"),
        )
        seg.save_as(tmp_path / f"{kind}.dcm")
    back = read_seg(tmp_path / "FRACTIONAL.dcm")
    expected = np.zeros((13, 11, 2), np.uint8)
    expected[3:7, 2:5] = 1
    expected[3:7, 5:7] = 2
    assert np.array_equal(back.array, expected)
    with pytest.raises(FormatLimitation, match="overlap"):
        read_seg(tmp_path / "BINARY.dcm")
    for kind in ("BINARY", "FRACTIONAL"):
        apart = read_any_seg(tmp_path / f"{kind}.dcm")
        assert apart.counts() == {1: 2 * 12, 2: 2 * (16 if kind == "BINARY" else 12)}
    half = pydicom.dcmread(tmp_path / "FRACTIONAL.dcm")
    lower = np.zeros(256, np.uint8)
    lower[[204, 153, 102]] = 160, 100, 80  # .8, .6 and .4 of 255
    half.PixelData, half.MaximumFractionalValue = lower[np.frombuffer(half.PixelData, np.uint8)].tobytes(), 200
    half.save_as(tmp_path / "half.dcm")  # of the second segment, one half exactly
    assert read_any_seg(tmp_path / "half.dcm").counts() == {1: 2 * 12, 2: 2 * 12}


def test_one_half_or_more_of_a_fraction_is_inside(tmp_path):
    """Of a largest value of 100, 50 is one half exactly."""
    path, labels, _ = written(write_seg, tmp_path, encoding="fractional")
    whole = pydicom.dcmread(path)
    inside = np.frombuffer(whole.PixelData, np.uint8) == whole.MaximumFractionalValue
    assert inside.any()
    whole.MaximumFractionalValue = 100
    for value in (49, 50, 51):
        whole.PixelData = np.where(inside, value, 0).astype(np.uint8).tobytes()
        whole.save_as(path)
        expected = labels.array if value >= 50 else 0 * labels.array
        assert np.array_equal(regrid(read_seg(path), labels.geometry).array, expected)
        assert np.array_equal(regrid(read_any_seg(path), labels.geometry).array, expected)


@pytest.mark.parametrize("read", [read_seg, read_any_seg])
@pytest.mark.parametrize(
    ("described", "words"), [(1, "2 segments have the number 1"), (7, "of a segment 2, which it does not describe")]
)
def test_frames_of_which_segment_is_not_known(tmp_path, read, described, words):
    path, _, _ = written(write_seg, tmp_path)
    dataset = pydicom.dcmread(path)
    dataset.SegmentSequence[1].SegmentNumber = described
    dataset.save_as(path)
    with pytest.raises(InputError, match=words):
        read(path)


def test_damaged_files_are_errors_of_the_file(tmp_path):
    path, _, source = written(write_seg, tmp_path)
    whole = path.read_bytes()
    (tmp_path / "cut.dcm").write_bytes(whole[: len(whole) - 40])
    (tmp_path / "text.dcm").write_text("not DICOM")
    for path in (tmp_path / "cut.dcm", tmp_path / "text.dcm", source.files[0]):
        with pytest.raises(InputError):
            read_seg(path)


@pytest.mark.needs_data("data/dicom/seg_examples")
class TestExamples:
    """dcmqi's own examples against the label maps they were made from."""

    @pytest.mark.parametrize(
        ("name", "truth"),
        [
            ("liver", "liver_seg"),
            ("sparse-labelmap-noppv", "sparse_labelmap_noppv_seg"),
            ("sparse-labelmap-ppv5", "sparse_labelmap_ppv5_seg"),  # 5 pads there; here, as everywhere, 0 does
        ],
    )
    def test_one_map(self, name, truth):
        back = read_seg(EXAMPLES / f"segmentations/{name}.dcm")
        array, geometry = nrrd(EXAMPLES / f"segmentations/{truth}.nrrd")
        assert back.geometry.difference(geometry) < 1e-3
        assert np.array_equal(back.array, np.where(array == 5, 0, array))

    def test_overlapping(self):
        path = EXAMPLES / "segmentations/partial_overlaps.dcm"
        with pytest.raises(FormatLimitation, match="overlap"):
            read_seg(path)
        apart = read_any_seg(path)
        masks = {entry.value: apart.alone(entry) for entry in apart.table}
        assert sorted(masks) == [1, 2, 3, 4, 5]
        for number in (1, 2, 3):
            array, geometry = nrrd(EXAMPLES / f"segmentations/partial_overlaps-{number}.nrrd")
            for value in set(np.unique(array)) - {0}:
                assert masks[value].geometry.difference(geometry) < 1e-3
                assert np.array_equal(masks[value].array == value, array == value)

    def test_of_a_report(self):
        back = read_seg(EXAMPLES / "sr-example/seg.dcm")
        assert back.geometry.shape == (128, 128, 13)
        assert back.table.classes[0].name == "Neoplasm, Primary"
        assert back.array.any()
