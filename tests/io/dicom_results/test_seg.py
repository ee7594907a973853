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
from small_labels import ANATOMY, MODEL, TABLE, no_labels, some_labels, world, written
from small_series import AXIAL, CORONAL, OBLIQUE, SAGITTAL, small_multiframe, small_series

from medseg.errors import FormatLimitation, GeometryMismatch, InputError
from medseg.io.dicom.header import lenient
from medseg.io.dicom_results.read_seg import read_seg
from medseg.io.dicom_results.seg import write_seg
from medseg.prepare.regrid import regrid
from medseg.types import Code, Geometry, LabelClass, LabelMap, LabelTable, ModelIdentity, Source
from medseg.types.axis_order import AxisOrder


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


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
