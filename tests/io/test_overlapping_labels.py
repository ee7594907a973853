"""Classes that share voxels are written and read back whole, in every format that has a place for them."""

import highdicom as hd
import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from small_labels import MODEL, TABLE, overlapping_labels, world
from small_series import OBLIQUE, small_series

from medseg.errors import FormatLimitation, InputError
from medseg.io.convert import convert
from medseg.io.dicom_results.rtstruct import read_any_rtstruct, read_rtstruct
from medseg.io.formats import Labeled, write
from medseg.io.nifti import read_any_labels as read_any_nifti
from medseg.io.read import read_any_labels, read_labels
from medseg.types import OverlappingLabels

HOLD_THEM = ("nifti", "nrrd", "dicom-seg", "dicom-seg-fractional", "rtstruct")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The labels, their series, and each format's file."""
    folder = tmp_path_factory.mktemp("overlapping")
    source, geometry = small_series(folder / "mr", orientation=OBLIQUE)
    labels = overlapping_labels(geometry)
    item = Labeled(labels, source, MODEL)
    return labels, source, {name: write(name, item, folder / name) for name in (*HOLD_THEM, "sr", "stl", "obj", "gltf")}


def same_voxels(found, labels):
    assert isinstance(found, OverlappingLabels)
    for entry in labels.table:
        theirs = next((one for one in found.table if one.name == entry.name), None)
        there = set() if theirs is None else world(found.alone(theirs), theirs.value)
        assert there == world(labels.alone(entry), entry.value), entry.name
        assert theirs is None or theirs.color == entry.color


@pytest.mark.parametrize("name", HOLD_THEM)
def test_every_class_comes_back_whole(files, name):
    labels, _, written = files
    path = written[name].files[0]
    if name == "rtstruct":
        same_voxels(read_any_rtstruct(path, labels.geometry), labels)
        with pytest.raises(FormatLimitation, match="'liver' and 'Größe α' overlap"):
            read_rtstruct(path, labels.geometry)
        return
    same_voxels(read_any_labels(path), labels)
    if name != "dicom-seg-fractional":  # of which a label map takes the largest fraction
        with pytest.raises(FormatLimitation, match="one class for each"):
            read_labels(path)


def test_what_was_written_was_read_back(files):
    labels, _, written = files
    for name, key in (("dicom-seg", "dice"), ("dicom-seg-fractional", "dice"), ("rtstruct", "dice")):
        (measured,) = written[name].read_back.values()
        assert measured == {key: {"liver": 1, "Größe α": 1, "never found": 1}}
    voxel = labels.geometry.voxel_volume / 1000
    stated = written["sr"].read_back["labels.sr.dcm"]["volume_ml"]
    assert stated == {
        entry.name: pytest.approx(labels.counts()[entry.value] * voxel, rel=1e-5) for entry in labels.table
    }


def test_nifti_has_one_channel_a_class(files):
    labels, _, written = files
    array = np.asarray(nib.load(written["nifti"].files[0]).dataobj)
    assert array.dtype == np.uint8
    assert np.array_equal(array, np.stack([labels.mask(entry.value) for entry in TABLE], axis=-1))
    assert written["nifti"].files[1].read_text().splitlines()[1].startswith("1\tliver\t")


def test_highdicom_reads_the_same_overlapping_segments(files):
    labels, _, written = files
    volume = hd.seg.segread(written["dicom-seg"].files[0]).get_volume(combine_segments=False)
    for number, entry in enumerate(TABLE):
        lps = np.argwhere(volume.array[..., number]) @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        found = {tuple(place) for place in np.rint(lps * [-100, -100, 100]).astype(int)}
        assert found == world(labels.alone(entry), entry.value)


def test_slicers_layers_are_as_few_as_the_overlap_allows(files):
    _, _, written = files
    path = written["nrrd"].files[0]
    assert b"kinds: list" in path.read_bytes()[:400]
    image = sitk.ReadImage(path)
    assert image.GetNumberOfComponentsPerPixel() == 2
    assert [image.GetMetaData(f"Segment{n}_Layer") for n in range(3)] == ["0", "1", "0"]


@pytest.mark.parametrize("name", ["mha", "dicom-seg-labelmap", "sc"])
def test_formats_of_one_class_a_voxel_refuse_and_leave_nothing(files, tmp_path, name):
    labels, source, _ = files
    with pytest.raises(FormatLimitation, match="holds one class for each voxel, and these classes may overlap"):
        write(name, Labeled(labels, source, MODEL), tmp_path)
    assert not list(tmp_path.iterdir())


def test_convert_brings_overlapping_segments_into_one_file(files, tmp_path):
    labels, _, written = files
    (one,) = convert(written["dicom-seg"].files[0], tmp_path / "nifti").converted
    same_voxels(read_any_labels(one.path), labels)
    assert '"channels"' in one.path.with_name("conversion.json").read_text(encoding="utf-8")
    (again,) = convert(one.path, tmp_path / "nrrd", format="nrrd").converted
    same_voxels(read_any_labels(again.path), labels)
    apart = convert(written["dicom-seg"].files[0], tmp_path / "mha", format="mha").converted
    assert [part.path is not None for part in apart] == [True, True, True]


def test_channels_without_a_table_are_classes_and_one_hot_is_a_label_map(tmp_path):
    masks = np.random.default_rng(0).random((5, 4, 3, 2)) < 0.4
    nib.save(nib.Nifti1Image(masks.astype(np.uint8), np.eye(4)), tmp_path / "labels.nii.gz")
    found = read_any_labels(tmp_path / "labels.nii.gz")
    assert [entry.name for entry in found.table] == ["class-1", "class-2"]
    assert np.array_equal(found.mask(2), masks[..., 1])
    values = np.random.default_rng(1).integers(0, 3, (5, 4, 3))
    one_hot = np.stack([values == value for value in range(3)], axis=-1).astype(np.float32)
    nib.save(nib.Nifti1Image(one_hot, np.eye(4)), tmp_path / "one-hot.nii.gz")
    assert np.array_equal(read_any_labels(tmp_path / "one-hot.nii.gz").array, values)


def test_channels_of_several_values_and_tables_of_other_lengths_are_refused(tmp_path):
    path = tmp_path / "labels.nii.gz"
    nib.save(nib.Nifti1Image(np.arange(48, dtype=np.uint8).reshape(4, 3, 2, 2), np.eye(4)), path)
    with pytest.raises(InputError, match="channel 1 holds several values besides 0"):
        read_any_nifti(path)
    nib.save(nib.Nifti1Image(np.eye(4, dtype=np.uint8).reshape(4, 2, 1, 2), np.eye(4)), path)
    (tmp_path / "labels.tsv").write_text("index\tname\n1\tone\n2\ttwo\n3\tthree\n")
    with pytest.raises(InputError, match="has 3 rows, and the labels have 2 channels"):
        read_any_labels(path)


def test_segments_that_do_not_overlap_are_read_as_ever(tmp_path):
    source, geometry = small_series(tmp_path / "mr")
    separate = overlapping_labels(geometry).folded()
    for name in ("dicom-seg", "dicom-seg-labelmap", "dicom-seg-fractional", "nrrd"):
        (path, *_), *_ = write(name, Labeled(separate, source, MODEL), tmp_path / name)
        old, new = read_labels(path), read_any_labels(path)
        assert np.array_equal(old.array, new.array)
        assert old.geometry.matches(new.geometry)
        assert (old.array.dtype, old.table) == (new.array.dtype, new.table)
