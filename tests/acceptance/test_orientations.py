"""However the axes of a scan are stored, the same voxels get the same labels."""

from itertools import permutations, product

import nibabel as nib
import numpy as np
import pytest

from medseg.demo.dicom import write_series
from medseg.types import Geometry

ORIENTATIONS = ["".join(axes) for order in permutations(("LR", "PA", "IS")) for axes in product(*order)]
WINDOW = (32, 40, 32)  # voxels of one window of the model: more would only take longer
# One of each permutation, every letter seen; all 48 in the slow run.
FEW = ["RAS", "LPI", "ASR", "PIL", "SLA", "IRP", "RSA", "LIP"]


def turned(image: nib.Nifti1Image, orientation: str) -> nib.Nifti1Image:
    now, wanted = nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(orientation)
    return image.as_reoriented(nib.orientations.ornt_transform(now, wanted))


@pytest.mark.parametrize(
    "orientations", [pytest.param(FEW, id="few"), pytest.param(ORIENTATIONS, id="all", marks=pytest.mark.slow)]
)
def test_labels_agree_in_every_orientation_and_as_dicom(medseg, scans, quick, tmp_path, orientations):
    source = nib.load(scans / "research" / "left-hippocampus.nii.gz")
    corner = [max(0, (size - window) // 2) for size, window in zip(source.shape, WINDOW, strict=True)]
    source = source.slicer[tuple(slice(at, at + window) for at, window in zip(corner, WINDOW, strict=True))]
    for orientation in orientations:
        nib.save(turned(source, orientation), tmp_path / f"{orientation}.nii.gz")
    array = np.asarray(source.dataobj).astype(np.int16)
    write_series(array, Geometry(source.affine, source.shape), tmp_path / "dicom", description="T1")
    out = tmp_path / "out"
    done = medseg("predict", tmp_path, "--model", "hippocampus", "--out", out, "--format", "nifti", *quick)
    assert done.returncode == 0, done.stderr
    reference = np.asarray(turned(nib.load(out / "RAS" / "labels.nii.gz"), "RAS").dataobj)
    assert (reference > 0).sum() > 1000
    folders = [path for path in out.iterdir() if path.is_dir()]
    assert len(folders) == len(orientations) + 1
    for folder in folders:
        labels = turned(nib.load(folder / "labels.nii.gz"), "RAS")
        assert labels.affine == pytest.approx(source.affine if source.affine[0, 0] > 0 else labels.affine, abs=1e-3)
        assert (np.asarray(labels.dataobj) == reference).mean() >= 0.9999, folder.name
