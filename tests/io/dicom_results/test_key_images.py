"""Key images: the right slices, outlines where the labels are, windowed as asked, the same every time."""

import time

import numpy as np
import pydicom
import pytest
from small_labels import MODEL, TABLE, no_labels, some_labels
from small_series import CORONAL, small_multiframe, small_series

from medseg.draw.panes import Backdrop
from medseg.io.dicom_results.gray_slices import GraySlices
from medseg.io.dicom_results.key_images import write_key_images
from medseg.io.dicom_results.source import read_source
from medseg.io.read import load_scan
from medseg.types.window import gray_levels


def test_each_class_is_shown_where_it_is_largest(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    labels = some_labels(geometry)
    labels.array[1:12, 1:10, 1] = 1
    paths = write_key_images(labels, source, tmp_path / "labels.key.dcm", model=MODEL)
    assert [p.name for p in paths] == ["labels.key-01.dcm", "labels.key-02.dcm"]
    largest = int((labels.array == 2).sum(axis=(0, 1)).argmax())
    images = [pydicom.dcmread(p) for p in paths]
    shown = [pydicom.dcmread(source.files[k]).SOPInstanceUID for k in (1, largest)]
    assert [i.SourceImageSequence[0].ReferencedSOPInstanceUID for i in images] == shown
    assert len({i.SeriesInstanceUID for i in images}) == 1
    assert [i.InstanceNumber for i in images] == [1, 2]
    picture = images[0].pixel_array
    rows, columns = np.nonzero((picture == TABLE.classes[0].color).all(axis=-1))
    scale_x, scale_y = (s / float(images[0].PixelSpacing[0]) for s in geometry.spacing[:2])
    drawn = rows < 11 * scale_y  # the picture, not the legend below it
    assert columns[drawn].min() == pytest.approx(1 * scale_x, abs=1)
    assert columns[drawn].max() + 1 == pytest.approx(12 * scale_x, abs=1)
    assert rows[drawn].min() == pytest.approx(1 * scale_y, abs=1)
    assert rows[drawn].max() + 1 == pytest.approx(10 * scale_y, abs=1)


@pytest.mark.parametrize("elements", [{}, {"Modality": "CT", "RescaleIntercept": -150}, {"RescaleSlope": 0.5}])
def test_a_key_image_has_the_window_of_the_preview(elements, tmp_path):
    window = {"WindowCenter": 102, "WindowWidth": 8}  # the header's own is not used
    source, geometry = small_series(tmp_path / "in", shape=(13, 11, 130), **window, **elements)
    scan = load_scan(tmp_path / "in")
    backdrop = Backdrop.from_scan(scan, geometry)
    assert GraySlices.from_source(read_source(geometry, source), source).window == backdrop.window
    (path,) = write_key_images(no_labels(geometry), source, tmp_path / "labels.key.dcm", model=MODEL)
    middle = gray_levels(scan.array[0, 5, 5, 65], backdrop.window)
    assert 0 < middle < 255
    assert pydicom.dcmread(path).pixel_array[100, 100].tolist() == [middle] * 3


def test_orientation_and_multi_frame(tmp_path):
    source, geometry = small_series(tmp_path / "in", orientation=CORONAL)
    path = write_key_images(some_labels(geometry), source, tmp_path / "a.dcm", model=MODEL)[0]
    assert list(pydicom.dcmread(path).PatientOrientation) == ["L", "F"]
    source, geometry = small_multiframe(tmp_path / "mr.dcm")
    path = write_key_images(some_labels(geometry), source, tmp_path / "b.dcm", model=MODEL)[0]
    reference = pydicom.dcmread(path).SourceImageSequence[0]
    assert 6 - reference.ReferencedFrameNumber in np.flatnonzero(some_labels(geometry).array.any(axis=(0, 1)))


def test_the_same_input_gives_the_same_files(tmp_path):
    source, geometry = small_series(tmp_path / "in")
    first = write_key_images(some_labels(geometry), source, tmp_path / "a.dcm", model=MODEL)
    time.sleep(1.1)
    second = write_key_images(some_labels(geometry), source, tmp_path / "b.dcm", model=MODEL)
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
