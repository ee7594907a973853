"""DICOM SEG read: fractions, overlaps, damage, and examples of another writer."""

import highdicom as hd
import numpy as np
import pydicom
import pytest
from shared_data import DATA
from small_labels import nrrd, written
from small_series import small_series

from medseg.errors import FormatLimitation, InputError
from medseg.io.dicom_results.read_seg import read_any_seg, read_seg
from medseg.io.dicom_results.seg import write_seg
from medseg.prepare.regrid import regrid

EXAMPLES = DATA / "dicom" / "seg_examples"


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
