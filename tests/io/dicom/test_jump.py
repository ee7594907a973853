"""Parts of two patients, one above the other, that no header tells apart: seen in the pixels."""

import numpy as np
import pytest
from dicom_phantom import encode, grid, write_series
from shared_data import DATA

from medseg.io.dicom.jump import jump_warnings
from medseg.io.read import load_scan


def test_another_patient_above(tmp_path):
    where = grid(slices=18)
    height = np.mean(where.positions[8:10, 2])

    def of_two(world):
        return encode(world) + 300 * (world[..., 2] > height)

    write_series(tmp_path, where, values=of_two, edit=lambda ds, k: setattr(ds, "PatientID", ""))
    (warning,) = load_scan(tmp_path).source.warnings
    assert warning.startswith("Slices 9 and 10 differ ")
    assert warning.endswith("images of two patients or acquisitions may lie one above the other")


def smooth(slices):
    """Slices that change by little."""
    x, y, z = np.meshgrid(np.arange(20), np.arange(20), np.arange(slices), indexing="ij")
    return 1000 + 100 * np.sin(x / 3 + z / 10) + 50 * np.cos(y / 4)


def empty_above(volume):
    volume[:, :, 9:] = 0
    return volume


def one_slice(volume):
    volume[:, :, 9] += 500
    return volume


def at_an_end(volume):
    volume[:, :, 16:] += 500
    return volume


@pytest.mark.parametrize("change", [lambda volume: volume, empty_above, one_slice, at_an_end, np.zeros_like])
def test_what_is_no_other_patient(change):
    assert jump_warnings(change(smooth(18))) == ()


@pytest.mark.parametrize("slices", range(1, 8))
def test_a_few_slices(slices):
    jump_warnings(smooth(slices))


def test_no_real_scan_has_a_warning():
    folder = DATA / "sarcoma" / "dicom"
    if not folder.is_dir():
        pytest.skip("the shared data is not here")
    series = sorted(folder.glob("STS_00*/*/image"))
    assert len(series) >= 9
    for one in series:
        assert jump_warnings(load_scan(one).array[0]) == ()
