"""What plastimatch makes of the RTSTRUCT medseg writes of slices from last to first."""

import numpy as np
import pytest
from peer_tools import call
from small_labels import MODEL, TABLE, nrrd, some_labels
from small_series import AXIAL, CORONAL, SAGITTAL, small_series

from medseg.io.dicom_results.rtstruct import write_rtstruct

pytestmark = pytest.mark.peers


@pytest.mark.parametrize("orientation", [AXIAL, CORONAL, SAGITTAL])
def test_plastimatch_fills_the_same_voxels_in_the_same_place(tmp_path, orientation):
    """Holes and all; plastimatch takes contours as drawn on axial slices, so the others are left to it as it can."""
    source, geometry = small_series(tmp_path / "in", orientation=orientation, reverse=True)
    labels = some_labels(geometry)
    labels.array[3:5, 4:5, 2] = 0  # a hole
    write_rtstruct(labels, source, tmp_path / "labels.dcm", model=MODEL)
    call("plastimatch", "convert", "--input", tmp_path / "labels.dcm", "--referenced-ct", tmp_path / "in",
         "--output-prefix", tmp_path / "masks", "--prefix-format", "nrrd")  # fmt: skip
    for entry in TABLE.classes[:2]:
        name = "".join(c for c in entry.name if c.isascii())
        (path,) = (tmp_path / "masks").glob(f"*{name.split()[0][:2]}*.nrrd")
        array, grid = nrrd(path)
        ours = labels.array == entry.value
        voxels = np.rint(geometry.to_voxel(grid.to_world(np.argwhere(array > 0)))).astype(int)
        theirs = np.zeros_like(ours)
        theirs[tuple(voxels.T)] = True
        assert 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum()) == 1
