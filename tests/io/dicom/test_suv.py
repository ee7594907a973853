"""PET in standardized uptake values, or in what it was stored in and saying so."""

import numpy as np
import pytest
from dicom_phantom import check, grid, truth, write_series
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from shared_data import DATA

from medseg.io.read import load_scan

SARCOMA = DATA / "sarcoma"
DOSE, HALF_LIFE, WEIGHT = 370e6, 6586.2, 70.0


def pet(**changes: object):
    """Make PET headers: injected at 09:15, scanned at 10:15."""

    def edit(ds: Dataset, k: int) -> None:
        drug = Dataset()
        drug.RadiopharmaceuticalStartTime = "091500"
        drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = DOSE, HALF_LIFE
        ds.RadiopharmaceuticalInformationSequence = Sequence([drug])
        ds.Units, ds.DecayCorrection, ds.CorrectedImage = "BQML", "START", ["ATTN", "DECY", "SCAT"]
        ds.PatientWeight = WEIGHT
        for keyword, value in changes.items():
            place = drug if keyword.startswith("Radio") else ds
            if value is None:
                delattr(place, keyword)
            else:
                setattr(place, keyword, value)

    return edit


def read(tmp_path, **changes):
    write_series(tmp_path, grid(), modality="PT", slopes=0.5, intercept=0, edit=pet(**changes))
    return load_scan(tmp_path)


def check_factor(scan, factor):
    np.testing.assert_allclose(scan.array[0], truth(scan.geometry) * factor, rtol=5e-4)


@pytest.mark.parametrize(
    ("changes", "elapsed"),
    [
        ({}, 3600),  # decayed to the start of the scan
        ({"DecayCorrection": "ADMIN"}, 0),
        ({"RadiopharmaceuticalStartTime": "234500", "SeriesTime": "004500", "AcquisitionTime": "004600"}, 3600),
        ({"RadiopharmaceuticalStartDateTime": "20240229081500+0100"}, 7200),
    ],
)
def test_the_dose_decays_from_the_injection(tmp_path, changes, elapsed):
    scan = read(tmp_path, **changes)
    check_factor(scan, WEIGHT * 1000 / (DOSE * 0.5 ** (elapsed / HALF_LIFE)))
    assert scan.source.notes == ("PET values were turned from Bq/ml into SUV by body weight",)
    assert scan.array.dtype == np.float32


def test_stored_as_suv(tmp_path):
    scan = read(tmp_path, Units="GML")
    check(scan)
    assert scan.source.notes == ("PET values are SUV by body weight, as stored",)


def test_makers_factor_from_counts(tmp_path):
    def edit(ds: Dataset, k: int) -> None:
        pet(Units="CNTS")(ds, k)
        ds.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "DS", "0.002")

    write_series(tmp_path, grid(), modality="PT", intercept=0, edit=edit)
    check_factor(load_scan(tmp_path), 0.002)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"PatientWeight": None}, "the patient's weight is missing"),
        ({"PatientWeight": 0}, "the patient's weight is missing"),
        ({"RadionuclideTotalDose": 370}, "the injected activity or the half-life is missing or absurd"),
        ({"RadionuclideHalfLife": None}, "the injected activity or the half-life is missing or absurd"),
        ({"DecayCorrection": "NONE"}, "the time they are corrected to is not given"),
        ({"CorrectedImage": ["ATTN"]}, "not corrected for attenuation and decay"),
        ({"RadiopharmaceuticalStartTime": None}, "the time of injection is missing"),
        ({"SeriesTime": "111500"}, "later than its first image"),
        ({"RadiopharmaceuticalStartDateTime": "20240220081500"}, "absurd"),
        ({"Units": "CNTS"}, "no factor"),
        ({"Units": "PROPCPS"}, "SUV is made from Bq/ml"),
    ],
)
def test_left_as_stored_and_said_so(tmp_path, changes, reason):
    scan = read(tmp_path, **changes)
    check(scan)
    assert reason in scan.source.warnings[0]


@pytest.mark.needs_data("data/sarcoma")
@pytest.mark.parametrize("kind", ["CT", "MR_T1", "PET"])
def test_real_series_agree_with_their_nifti(kind):
    """The masks of the study were drawn on both: same voxels, same places."""
    import nibabel as nib

    for patient in sorted((SARCOMA / "dicom").iterdir())[:3]:
        scan = load_scan(patient / kind / "image")
        other = nib.load(SARCOMA / "nifti" / patient.name / f"{kind}_image.nii.gz")
        turn = nib.orientations.ornt_transform(
            nib.io_orientation(other.affine), nib.io_orientation(scan.geometry.affine)
        )
        other = other.as_reoriented(turn)
        np.testing.assert_allclose(scan.geometry.affine, other.affine, atol=1e-3)
        np.testing.assert_allclose(scan.array[0], np.asanyarray(other.dataobj), rtol=1e-5, atol=1e-5)
