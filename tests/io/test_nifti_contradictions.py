"""NIfTI headers whose fields contradict each other: a warning, and the field that is meant."""

import nibabel as nib
import numpy as np
import pytest

from medseg.errors import InputError
from medseg.io.nifti import read_scan, write_labels
from medseg.types import LabelMap, LabelTable

AFFINE = np.array([[0, -0.5, 0, 10], [0.5, 0, 0, -20], [0, 0, 2, 5], [0, 0, 0, 1.0]])


def write(path, **fields):
    """Write a scan of 0.5 x 0.5 x 2 mm, and change fields of its header afterwards."""
    image = nib.Nifti1Image(np.arange(960, dtype=np.int16).reshape(12, 10, 8), AFFINE)
    image.header.set_qform(AFFINE, code=1)
    image.header.set_sform(AFFINE, code=1)
    nib.save(image, path)
    content = bytearray(path.read_bytes())
    header = nib.Nifti1Header(bytes(content[:348]))
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(content)
    return path


IDENTITY = {"srow_x": [1, 0, 0, 0], "srow_y": [0, 1, 0, 0], "srow_z": [0, 0, 1, 0]}
EMPTY = {row: [0, 0, 0, 0] for row in IDENTITY}


def test_sform_against_pixdim(tmp_path):
    scan = read_scan(write(tmp_path / "x.nii", qform_code=0, **IDENTITY))
    assert scan.geometry.spacing == (1, 1, 1)
    assert scan.source.warnings == (
        "Voxels are 1 x 1 x 1 mm large by the sform and 0.5 x 0.5 x 2 mm by pixdim; the sform was used",
    )


@pytest.mark.parametrize("pixdim", [[1, 0.5, 0.5, 2], [1, 0.502, 0.5, 2], [1, 0, 0, 0]])
def test_pixdim_that_agrees_but_for_rounding_or_is_empty(tmp_path, pixdim):
    scan = read_scan(write(tmp_path / "x.nii", qform_code=0, pixdim=[*pixdim, 0, 0, 0, 0]))
    np.testing.assert_allclose(scan.geometry.affine, AFFINE)
    assert scan.source.warnings == ()


def test_in_micrometers(tmp_path):
    path = write(tmp_path / "x.nii", qform_code=0, xyzt_units=3)
    assert ["pixdim" in warning for warning in read_scan(path).source.warnings] == [False]


def test_a_valid_qform_beside_an_empty_sform(tmp_path):
    path = write(tmp_path / "x.nii", **EMPTY)
    scan = read_scan(path)
    np.testing.assert_allclose(scan.geometry.affine, AFFINE, atol=1e-5)
    assert (scan.source.warnings, scan.source.notes) == ((), ("The sform is all zeros; the qform was used",))
    labels = LabelMap(np.ones(scan.geometry.shape, np.uint8), scan.geometry, LabelTable.unnamed([1]))
    write_labels(labels, tmp_path / "labels.nii.gz", scan.source)
    # For every reader, which need not know to pass an empty sform over.
    np.testing.assert_allclose(nib.load(tmp_path / "labels.nii.gz").affine, AFFINE, atol=1e-5)


def test_an_empty_sform_alone_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be inverted"):
        read_scan(write(tmp_path / "x.nii", qform_code=0, **EMPTY))


@pytest.mark.parametrize("slope", [np.inf, -np.inf])
def test_an_infinite_slope_is_refused(tmp_path, slope):
    with pytest.raises(InputError, match="the slope is infinite"):
        read_scan(write(tmp_path / "x.nii", scl_slope=slope))


def test_no_voxel_size_and_no_sform_is_refused(tmp_path):
    with pytest.raises(InputError, match="a voxel size in pixdim is 0, and there is no sform"):
        read_scan(write(tmp_path / "x.nii", sform_code=0, pixdim=[1, 0, 0.5, 2, 0, 0, 0, 0]))


@pytest.mark.parametrize("fields", [{"pixdim": [1, 0, 0, 0, 0, 0, 0, 0]}, {"bitpix": 0}, {"sform_code": -1}])
def test_nothing_is_printed_of_odd_headers(tmp_path, capfd, fields):
    path = write(tmp_path / "x.nii", **fields)
    capfd.readouterr()
    assert read_scan(path).geometry.spacing == (0.5, 0.5, 2)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("bitpix", 99, "99 bits a voxel"), ("sizeof_hdr", 0, "0 bytes long"), ("sizeof_hdr", 540, "540 bytes long")],
)
def test_sizes_of_the_header_that_contradict_it_are_refused(tmp_path, field, value, words):
    with pytest.raises(InputError, match=words):
        read_scan(write(tmp_path / "x.nii", **{field: value}))


def test_voxels_and_places_that_no_scan_has_are_refused(tmp_path):
    for rows in ({"srow_x": [1e20, 0, 0, 0]}, {"srow_x": [1e-20, 0, 0, 0]}, {"srow_x": [1, 0, 0, 1e30]}):
        with pytest.raises(InputError, match=r"mm (large|away)"):
            read_scan(write(tmp_path / "x.nii", qform_code=0, **(IDENTITY | rows)))
