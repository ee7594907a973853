"""PET in standardized uptake values, or in what it was stored in and saying so."""

import numpy as np
import pytest
from dicom_phantom import check, grid, truth, write_enhanced, write_series
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from shared_data import DATA

from medseg.io.dicom.header import lenient
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
            if callable(value):
                value = value(k)
            if value is None:
                delattr(place, keyword)
            else:
                setattr(place, keyword, value)

    return edit


def read(tmp_path, **changes):
    write_series(tmp_path, grid(), modality="PT", slopes=0.5, intercept=0, edit=pet(**changes))
    return load_scan(tmp_path)


def enhanced(path, modality_class: str, shared: bool, **changes: object):
    """An enhanced or converted object; what PET needs in its header, or in the functional groups all frames share."""

    def edit(ds: Dataset) -> None:
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = modality_class
        ds.Modality = "PT"
        del ds.SeriesDate, ds.SeriesTime, ds.AcquisitionDate, ds.AcquisitionTime
        place = Dataset() if shared else ds
        place.SeriesDate = place.AcquisitionDate = "20240229"
        place.SeriesTime = place.AcquisitionTime = "101500"
        pet(**changes)(place, 0)
        if shared:
            ds.SharedFunctionalGroupsSequence[0].UnassignedSharedConvertedAttributesSequence = [place]

    write_enhanced(path, grid(), slope=0.5, edit=edit)
    return load_scan(path)


ENHANCED_PET, CONVERTED_PET = "1.2.840.10008.5.1.4.1.1.130", "1.2.840.10008.5.1.4.1.1.128.1"


@pytest.mark.parametrize("kind", [ENHANCED_PET, CONVERTED_PET])
@pytest.mark.parametrize("shared", [False, True])
def test_enhanced_and_converted_objects(tmp_path, kind, shared):
    scan = enhanced(tmp_path / "x.dcm", kind, shared)
    check_factor(scan, WEIGHT * 1000 / (DOSE * 0.5 ** (3600 / HALF_LIFE)))
    assert scan.source.notes == ("PET values were turned from Bq/ml into SUV by body weight",)


def test_enhanced_objects_in_their_own_words(tmp_path):
    """Units of the real-world mapping, and the moment that values are corrected to."""
    units = Dataset()
    units.CodeValue, units.CodingSchemeDesignator, units.CodeMeaning = "Bq/ml", "UCUM", "Bq/ml"
    mapping = Dataset()
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 0.5, 0.0
    mapping.MeasurementUnitsCodeSequence = [units]
    own = {
        "Units": None,
        "DecayCorrection": None,
        "CorrectedImage": None,
        "DecayCorrected": "YES",
        "AttenuationCorrected": "YES",
        "DecayCorrectionDateTime": "20240229111500",
        "RealWorldValueMappingSequence": [mapping],
        "RadiopharmaceuticalStartDateTime": "20240229091500",
    }
    scan = enhanced(tmp_path / "x.dcm", ENHANCED_PET, False, **own)
    check_factor(scan, WEIGHT * 1000 / (DOSE * 0.5 ** (7200 / HALF_LIFE)))
    mapping.RealWorldValueSlope = 2.0  # not that of the values as read
    assert "unknown units" in enhanced(tmp_path / "y.dcm", ENHANCED_PET, False, **own).source.warnings[0]


@pytest.mark.parametrize("keyword", ["PatientWeight", "RadionuclideTotalDose", "RadionuclideHalfLife"])
@pytest.mark.parametrize("value", ["NaN", "inf"])
def test_numbers_that_are_none_make_no_suv(tmp_path, keyword, value):
    with lenient():
        scan = read(tmp_path, **{keyword: value})
    check(scan)
    assert scan.source.warnings[0].startswith("PET values were left in Bq/ml")


@pytest.mark.parametrize("changes", [{"Units": None}, {"PatientWeight": None}, {"DecayCorrection": "NONE"}])
def test_enhanced_objects_say_why_not(tmp_path, changes):
    scan = enhanced(tmp_path / "x.dcm", ENHANCED_PET, False, **changes)
    check(scan)
    assert scan.source.warnings[0].startswith("PET values were left in")


def check_factor(scan, factor):
    np.testing.assert_allclose(scan.array[0], truth(scan.geometry) * factor, rtol=5e-4)


@pytest.mark.parametrize(
    ("changes", "elapsed"),
    [
        ({}, 3600),  # decayed to the start of the scan
        ({"DecayCorrection": "ADMIN"}, 0),
        ({"RadiopharmaceuticalStartTime": "234500", "SeriesTime": "004500", "AcquisitionTime": "004600"}, 3600),
        ({"RadiopharmaceuticalStartDateTime": "20240229081500", "RadiopharmaceuticalStartTime": None}, 7200),
        ({"RadiopharmaceuticalStartDateTime": "20240229091500.000000"}, 3600),
        # The clock that wrote both is one, whatever its zone.
        ({"RadiopharmaceuticalStartDateTime": "20240229091500+0100"}, 3600),
        # Injected at 07:15 UTC, scanned at 08:15 UTC, which is 10:15 where the scanner is.
        ({"RadiopharmaceuticalStartDateTime": "20240229071500+0000", "TimezoneOffsetFromUTC": "+0200"}, 3600),
        (
            {
                "RadiopharmaceuticalStartDateTime": "20240228231500-1000",
                "TimezoneOffsetFromUTC": "+0000",
                "RadiopharmaceuticalStartTime": None,
            },
            3600,
        ),
        # Days ago, with a half-life of days (zirconium-89), or the same day.
        ({"RadiopharmaceuticalStartDateTime": "20240224091500", "RadionuclideHalfLife": 282276.0}, 5 * 86400 + 3600),
        ({"RadiopharmaceuticalStartDateTime": "20240229091500", "RadionuclideHalfLife": 230616.0}, 3600),
    ],
)
def test_the_dose_decays_from_the_injection(tmp_path, changes, elapsed):
    scan = read(tmp_path, **changes)
    half_life = changes.get("RadionuclideHalfLife", HALF_LIFE)
    check_factor(scan, WEIGHT * 1000 / (DOSE * 0.5 ** (elapsed / half_life)))
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
        ({"RadiopharmaceuticalStartDateTime": "20240220091500"}, "absurd"),
        # Only a time, and a half-life of days: zirconium-89, yttrium-90, copper-64, iodine-124.
        ({"RadionuclideHalfLife": 282276.0}, "the day is not known"),
        ({"RadionuclideHalfLife": 230616.0}, "the day is not known"),
        ({"RadionuclideHalfLife": 45721.0}, "the day is not known"),
        ({"RadionuclideHalfLife": 360806.0}, "the day is not known"),
        ({"RadiopharmaceuticalStartDateTime": "20240229081500"}, "contradict each other"),
        ({"RadiopharmaceuticalStartDateTime": "20240229081500+0100"}, "contradict each other"),
        (
            {"RadiopharmaceuticalStartDateTime": "20240229091500+0000", "TimezoneOffsetFromUTC": "+0200"},
            "contradict each other",
        ),
        (
            {"RadiopharmaceuticalStartDateTime": "20240229081500+0100", "RadiopharmaceuticalStartTime": None},
            "the zone of the series is not known",
        ),
        ({"RadiopharmaceuticalStartDateTime": "20240229"}, "without hours and minutes"),
        ({"SeriesTime": "093000"}, "long before its first image"),
        ({"SeriesTime": lambda k: f"10{10 + k}00"}, "the start of the series is missing"),
        ({"PatientWeight": 0.07}, "weight of 0.07 kg is absurd"),
        ({"PatientWeight": 70000}, "weight of 70000 kg is absurd"),
        ({"PatientWeight": lambda k: 70 + k}, "not the same in all slices"),
        ({"Units": lambda k: "BQML" if k else "CNTS"}, "SUV is made from Bq/ml"),
        ({"Units": "CNTS"}, "no factor"),
        ({"Units": "PROPCPS"}, "SUV is made from Bq/ml"),
    ],
)
def test_left_as_stored_and_said_so(tmp_path, changes, reason):
    scan = read(tmp_path, **changes)
    check(scan)
    assert reason in scan.source.warnings[-1]


def coded(meaning: str) -> Sequence:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "SCT", meaning
    return Sequence([code])


@pytest.mark.parametrize("meaning", ["^11^Carbon", "Carbon-11", "11C", "C-11"])
def test_the_half_life_of_another_nuclide(tmp_path, meaning):
    scan = read(tmp_path, RadionuclideCodeSequence=coded(meaning))
    check(scan)
    assert "a half-life of 6586.2 s is not that of C11, the nuclide it names" in scan.source.warnings[0]


@pytest.mark.parametrize("meaning", ["^18^Fluorine", "F-18", "Technetium 99m", ""])
def test_the_half_life_of_the_nuclide(tmp_path, meaning):
    assert not read(tmp_path, RadionuclideCodeSequence=coded(meaning)).source.warnings


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
