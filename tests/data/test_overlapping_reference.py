"""Masks that share voxels are read whole from every kind of file, into the same combinations."""

import numpy as np
import pytest
from small_labels import MODEL, TABLE, overlapping_labels
from small_series import small_series

from medseg.data.description import DatasetDescription
from medseg.data.layouts import read_dataset
from medseg.data.reading import read_case
from medseg.errors import MedsegError
from medseg.io.formats import Labeled, write

GIVEN = DatasetDescription(
    overlapping=True, labels={c.name: {"value": c.value, "structure": f"{c.name[:3]}.*"} for c in TABLE}
)


def expected(geometry):
    labels = overlapping_labels(geometry)
    return sum(labels.mask(entry.value) * (1 << k) for k, entry in enumerate(TABLE))


@pytest.mark.parametrize("name", ["dicom-seg", "rtstruct"])
def test_dicom_objects_beside_their_series(tmp_path, name):
    for case in ("a", "b"):
        source, geometry = small_series(tmp_path / case / "mr")
        write(name, Labeled(overlapping_labels(geometry), source, MODEL), tmp_path / case / "labels")
    data = read_dataset(tmp_path, GIVEN)
    scan, reference = read_case(data, data.cases[0])
    assert np.array_equal(reference.array, expected(scan.geometry))
    with pytest.raises(MedsegError, match="overlap"):
        exclusive = read_dataset(tmp_path, GIVEN.model_copy(update={"overlapping": False}))
        read_case(exclusive, exclusive.cases[0])
