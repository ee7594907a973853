"""Files with flipped bytes are read or refused: no crash, no hang, and no wrong place without anybody knowing.

A flipped byte in a voxel cannot be seen in a file without a checksum, and one in a header may make another valid
header. What must hold is that every answer is a scan whose array and grid agree, or an error of medseg's own; and that
damage a checksum covers is never taken for data.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from dicom_phantom import grid, write_enhanced, write_series
from PIL import Image
from shared_data import DATA

from medseg.errors import MedsegError
from medseg.io.discover import discover
from medseg.io.read import read_scan

REAL = (
    "hippocampus/imagesTr/*.nii.gz",
    "dicom/same_slice_every_syntax/*.dcm",
    "dicom/enhanced_mr/*/*.dcm",
    "dicom/clinical_mr/Study1/13_HCropVolume/*",
    "dicom/seg_examples/segmentations/*.nrrd",
    "nuclei/images/*.png",
)
MOST = 4 * 1032  # bytes of voxels for each of a file: the most that deflate packs, and a byte may become a float32
voxels = np.random.default_rng(1).integers(0, 999, (12, 13, 14)).astype(np.int16)


def _sitk(folder: Path, name: str, compress: bool) -> None:
    sitk.WriteImage(sitk.GetImageFromArray(voxels), str(folder / name), compress)


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.nii": lambda folder: nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / "a.nii"),
    "a.nii.gz": lambda folder: nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / "a.nii.gz"),
    "a.nrrd": lambda folder: _sitk(folder, "a.nrrd", False),
    "b.nrrd": lambda folder: _sitk(folder, "b.nrrd", True),
    "a.mha": lambda folder: _sitk(folder, "a.mha", False),
    "b.mha": lambda folder: _sitk(folder, "b.mha", True),
    "a.png": lambda folder: Image.fromarray(voxels[0].astype(np.uint8)).save(folder / "a.png"),
    "a.tif": lambda folder: Image.fromarray(voxels[0].astype(np.uint8)).save(folder / "a.tif"),
    "series": lambda folder: write_series(folder, grid(slices=3)),
    "enhanced.dcm": lambda folder: write_enhanced(folder / "enhanced.dcm", grid(slices=3)),
}
CHECKED = ("a.nii.gz", "b.nrrd", "b.mha")


def damage(content: bytes, random: np.random.Generator) -> bytes:
    """Flip, cut out or repeat a few bytes, mostly where the header is."""
    raw = bytearray(content)
    for _ in range(int(random.integers(1, 6))):
        reach = len(raw) if random.random() < 0.4 else min(len(raw), 1500)
        at = int(random.integers(0, reach))
        kind = random.random()
        if kind < 0.8:
            raw[at] ^= int(random.integers(1, 256))
        elif kind < 0.9:
            del raw[at : at + int(random.integers(1, 40))]
        else:
            raw[at:at] = raw[at : at + 40]
        if not raw:
            break
    return bytes(raw)


def survive(*paths: Path) -> int:
    """Find and read; return how many scans came out. Anything but a scan or a `MedsegError` fails the test."""
    scans, size = 0, sum(file.stat().st_size for path in paths for file in (path, *path.rglob("*")) if file.is_file())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for found in discover(paths).found:
            try:
                scan = read_scan(found)
            except MedsegError:
                continue
            assert scan.array.shape[1:] == scan.geometry.shape
            assert np.isfinite(scan.geometry.affine).all()
            assert np.isfinite([scan.array.min(), scan.array.max()]).all()
            assert scan.array.nbytes <= MOST * size
            scans += 1
    return scans


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files_of_every_format(tmp_path, name):
    source = tmp_path / "source"
    source.mkdir()
    WRITERS[name](source)
    original = max(source.iterdir(), key=lambda p: p.stat().st_size)
    content, random = original.read_bytes(), np.random.default_rng(7)
    damaged = []
    for number in range(12):
        original.write_bytes(damage(content, random))
        if name == "series":  # copies of one series would be one
            survive(source)
        else:  # together, as each call of `discover` may start a process of its own
            damaged.append(tmp_path / f"{number:02}-{name}")
            damaged[-1].write_bytes(original.read_bytes())
    if damaged:
        survive(*damaged)


@pytest.mark.parametrize("name", CHECKED)
def test_damage_under_a_checksum_is_never_data(tmp_path, name):
    WRITERS[name](tmp_path)
    path = tmp_path / name
    truth, content = read_scan(discover([path]).found[0]).array, path.read_bytes()
    random, damaged = np.random.default_rng(3), tmp_path / "damaged"
    damaged.mkdir()
    for number, at in enumerate(random.integers(len(content) // 2, len(content), 25)):
        raw = bytearray(content)
        raw[at] ^= int(random.integers(1, 256))
        (damaged / f"{number:02}-{name}").write_bytes(raw)
    for found in discover([damaged]).found:
        try:
            scan = read_scan(found)
        except MedsegError:
            continue
        # A spare bit of the deflate stream may flip and change nothing.
        np.testing.assert_array_equal(scan.array, truth)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.needs_data("data")
def test_two_thousand_damaged_real_files(tmp_path):
    random = np.random.default_rng(11)
    kinds = [files for pattern in REAL if (files := sorted(p for p in DATA.glob(pattern) if p.is_file()))]
    for number in range(2000):
        files = kinds[number % len(kinds)]
        source = files[int(random.integers(len(files)))]
        path = tmp_path / source.name
        path.write_bytes(damage(source.read_bytes(), random))
        survive(path)
        path.unlink()
