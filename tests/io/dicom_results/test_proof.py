"""What is written is read back and compared with the caller's own labels, which no writer changes."""

from dataclasses import replace

import numpy as np
import pytest
from small_labels import MODEL, TABLE, some_labels
from small_series import OBLIQUE, small_multiframe, small_series

from medseg.errors import FormatLimitation, InputError
from medseg.io.dicom_results import rtstruct, seg, sr
from medseg.io.dicom_results.rtstruct import write_rtstruct
from medseg.io.dicom_results.seg import write_seg
from medseg.io.dicom_results.sr import write_sr
from medseg.io.formats import WRITERS, Labeled, write
from medseg.types import Instances, LabelMap, LabelTable
from medseg.types.instances import InstanceRow

NAMES = [entry.name for entry in TABLE]
PROVEN = ("dicom-seg", "dicom-seg-labelmap", "dicom-seg-fractional", "rtstruct", "sr")


def in_order(labels: LabelMap, order: str) -> LabelMap:
    return replace(labels, array=np.array(labels.array, order=order))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("name", WRITERS)
def test_no_writer_changes_what_it_is_given(tmp_path, name, order):
    source, geometry = small_series(tmp_path / "in", orientation=OBLIQUE)
    labels = in_order(some_labels(geometry), order)
    probabilities = np.array(np.stack([labels.array == v for v in range(4)]) * 0.75, np.float32, order=order)
    ids = np.array(labels.array, np.int32, order=order)
    rows = tuple(InstanceRow(n, n, True, int((ids == n).sum())) for n in (1, 2))
    objects = Instances(ids, geometry, rows, TABLE)
    before = labels.array.copy(), probabilities.copy()
    for scores in (None, probabilities):
        write(name, Labeled(labels, source, MODEL, scores, objects), tmp_path / name)
        assert np.array_equal(labels.array, before[0])
        assert np.array_equal(ids, before[0])
        assert np.array_equal(probabilities, before[1])
        assert labels.array.flags.writeable


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("encoding", ["binary", "labelmap", "fractional"])
def test_segments_written_straight_from_the_function_change_nothing_either(tmp_path, encoding, order):
    source, geometry = small_series(tmp_path / "in")
    labels = in_order(some_labels(geometry), order)
    before = labels.array.copy()
    write_seg(labels, source, tmp_path / "labels.dcm", model=MODEL, encoding=encoding)
    assert np.array_equal(labels.array, before)


@pytest.mark.parametrize("several_frames", [False, True])
@pytest.mark.parametrize("name", PROVEN)
def test_what_is_read_back_is_reported(tmp_path, name, several_frames):
    source, geometry = small_multiframe(tmp_path / "mr.dcm") if several_frames else small_series(tmp_path / "in")
    labels = some_labels(geometry)
    read_back = write(name, Labeled(labels, source, MODEL), tmp_path).read_back
    measured = read_back[WRITERS[name].file_name]
    if name == "sr":
        volumes = {c.name: np.count_nonzero(labels.array == c.value) * 0.0012 for c in TABLE}
        assert measured["volume_ml"] == pytest.approx(volumes)
        assert read_back["labels.seg.dcm"] == {"dice": dict.fromkeys(NAMES, 1.0)}
    else:
        assert measured == {"dice": dict.fromkeys(NAMES, 1.0)}


def test_probabilities_are_compared_as_bytes(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    labels = some_labels(geometry)
    probabilities = np.random.default_rng(0).random((4, *geometry.shape), np.float32)
    item = Labeled(labels, source, MODEL, probabilities)
    assert write("dicom-seg-fractional", item, tmp_path).read_back == {
        "labels.fractional.dcm": {"dice": dict.fromkeys(NAMES, 1.0)}
    }


def one_voxel_more(labels: LabelMap) -> LabelMap:
    array = labels.array.copy()
    array[0, 0, 0] = 1
    return replace(labels, array=array)


def nothing(labels: LabelMap) -> LabelMap:
    return replace(labels, array=np.zeros_like(labels.array))


def moved(labels: LabelMap) -> LabelMap:
    return replace(labels, array=np.roll(labels.array, 1, axis=2))


@pytest.mark.parametrize("damage", [one_voxel_more, nothing, moved])
@pytest.mark.parametrize("encoding", ["binary", "labelmap", "fractional"])
def test_segments_that_differ_are_not_left_behind(tmp_path, monkeypatch, damage, encoding):
    build = seg.build_seg
    monkeypatch.setattr(seg, "build_seg", lambda labels, *rest: build(damage(labels), *rest))
    source, geometry = small_series(tmp_path / "in")
    with pytest.raises(FormatLimitation, match="read back"):
        write_seg(some_labels(geometry), source, tmp_path / "out" / "labels.dcm", model=MODEL, encoding=encoding)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("damage", [one_voxel_more, nothing, moved])
def test_structures_that_differ_are_not_left_behind(tmp_path, monkeypatch, damage):
    build = rtstruct.build_rtstruct
    monkeypatch.setattr(rtstruct, "build_rtstruct", lambda labels, *rest: build(damage(labels), *rest))
    source, geometry = small_series(tmp_path / "in")
    with pytest.raises(FormatLimitation, match="Dice"):
        write_rtstruct(some_labels(geometry), source, tmp_path / "out" / "labels.dcm", model=MODEL)
    assert not list((tmp_path / "out").iterdir())


def test_an_error_while_reading_back_names_the_file_that_was_to_be(tmp_path, monkeypatch):
    build = rtstruct.build_rtstruct
    source, geometry = small_series(tmp_path / "in")
    without = LabelMap(np.zeros(geometry.shape, np.uint8), geometry, LabelTable(()))
    monkeypatch.setattr(rtstruct, "build_rtstruct", lambda labels, *rest: build(without, *rest))
    path = tmp_path / "out" / "labels.dcm"
    with pytest.raises(InputError, match="no structure matches") as error:
        write_rtstruct(some_labels(geometry), source, path, model=MODEL)
    assert str(error.value).startswith(str(path))
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("damage", [one_voxel_more, nothing])
def test_a_report_of_other_volumes_is_not_left_behind(tmp_path, monkeypatch, damage):
    group = sr._group
    monkeypatch.setattr(
        sr, "_group", lambda segments, *rest: group(replace(segments, labels=damage(segments.labels)), *rest)
    )
    source, geometry = small_series(tmp_path / "in")
    with pytest.raises(FormatLimitation, match=r"it states [\d.]+ ml of 'liver'"):
        write_sr(some_labels(geometry), source, tmp_path / "out" / "labels.dcm", model=MODEL)
    assert not list((tmp_path / "out").iterdir())


def test_frames_that_refer_to_another_slice_or_patient_are_noticed(tmp_path, monkeypatch):
    build = seg.build_seg
    source, geometry = small_series(tmp_path / "in")

    def other_slice(*arguments):
        made = build(*arguments)
        frames = made.PerFrameFunctionalGroupsSequence
        frames[0].DerivationImageSequence, frames[-1].DerivationImageSequence = (
            frames[-1].DerivationImageSequence,
            frames[0].DerivationImageSequence,
        )
        return made

    def other_patient(*arguments):
        made = build(*arguments)
        del made.PatientID  # an element that it shares with the source's header
        made.PatientID = "P2"
        return made

    for fault, words in ((other_slice, "another slice"), (other_patient, "PatientID")):
        monkeypatch.setattr(seg, "build_seg", fault)
        with pytest.raises(FormatLimitation, match=words):
            write_seg(some_labels(geometry), source, tmp_path / "labels.dcm", model=MODEL)
    assert not (tmp_path / "labels.dcm").exists()
