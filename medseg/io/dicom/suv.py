"""Standardized uptake values of PET, by body weight: what of the injected activity each gram holds."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from pydicom.dataset import Dataset

from medseg.io.dicom.frame import Frame
from medseg.io.dicom.suv_times import UnknownSUVError, seconds_from_injection

PET = (
    "1.2.840.10008.5.1.4.1.1.128",
    "1.2.840.10008.5.1.4.1.1.130",  # enhanced
    "1.2.840.10008.5.1.4.1.1.128.1",  # legacy converted enhanced
)
UCUM = {"Bq/ml": "BQML", "g/ml": "GML", "{SUVbw}g/ml": "GML", "{counts}": "CNTS"}
# Kilograms. Less is a weight in some other unit, or an animal's.
LIGHTEST, HEAVIEST = 1.0, 650.0
# What is given of an injection.
GIVEN = (
    "RadionuclideTotalDose", "RadionuclideHalfLife", "RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime",
)  # fmt: skip
# Seconds. Of a nuclide that is named, a half-life further than this fraction away was written by mistake.
HALF_LIVES = {
    "F18": 6586.0, "C11": 1222.0, "N13": 598.0, "O15": 122.2, "GA68": 4063.0, "CU64": 45721.0, "ZR89": 282276.0,
    "I124": 360806.0, "RB82": 76.0,
}  # fmt: skip
ELEMENTS = {
    "FLUORINE": "F", "CARBON": "C", "NITROGEN": "N", "OXYGEN": "O", "GALLIUM": "GA", "COPPER": "CU", "ZIRCONIUM": "ZR",
    "IODINE": "I", "RUBIDIUM": "RB",
}  # fmt: skip
HALF_LIFE_SLACK = 0.05
# Philips' own factor from counts to SUV by body weight.
PHILIPS_SUV = 0x70531000
# An injected activity below this, in Bq, was written in MBq; nobody scans with less.
LEAST_DOSE = 1e4
KEPT = "PET values were left in {}: {}"
SUV_TYPES = {
    "": "body weight",
    "BW": "body weight",
    "LBM": "lean body mass",
    "BSA": "body surface",
    "IBW": "ideal weight",
}


def suv_factor(frames: Sequence[Frame]) -> tuple[float, tuple[str, ...], tuple[str, ...]]:
    """Factor that turns the real values of a PET series into SUV by body weight, g/ml.

    SUV = activity in Bq/ml x weight in g / injected activity in Bq, decayed to the time the values are corrected to:
    the start of the series (``DecayCorrection`` START) or the injection (ADMIN), as the Quantitative Imaging Biomarkers
    Alliance defines it (https://qibawiki.rsna.org, "Standardized Uptake Value (SUV)").

    Returns the factor, warnings and notes; 1 where values are SUV already or SUV cannot be known, which the texts then
    say.
    """
    header = frames[0].header
    if str(header.get("SOPClassUID")) not in PET:
        return 1.0, (), ()
    units = units_of(frames)
    if units == "GML":
        kind = str(header.get("SUVType") or "").upper()
        return 1.0, (), (f"PET values are SUV by {SUV_TYPES.get(kind, kind)}, as stored",)
    if units == "CNTS":
        factor = _number(header.get(PHILIPS_SUV))
        if factor > 0:
            return factor, (), ("PET values were turned into SUV by body weight with the maker's factor",)
        return 1.0, (KEPT.format("counts", "there is no factor to turn them into SUV"),), ()
    if units != "BQML":
        return 1.0, (KEPT.format(units or "unknown units", "SUV is made from Bq/ml"),), ()
    try:
        factor = _from_activity(frames)
    except UnknownSUVError as reason:
        return 1.0, (KEPT.format("Bq/ml", str(reason)),), ()
    except Exception:  # pydicom raises nearly anything on damaged values
        return 1.0, (KEPT.format("Bq/ml", "what the header says of dose and time cannot be read"),), ()
    return factor, (), ("PET values were turned from Bq/ml into SUV by body weight",)


def _from_activity(frames: Sequence[Frame]) -> float:
    header = frames[0].header
    weights = {_number(frame.header.get("PatientWeight")) for frame in frames}
    weight = weights.pop()
    if weights or not weight > 0:
        raise UnknownSUVError("the patient's weight is missing, or not the same in all slices")
    if not LIGHTEST <= weight < HEAVIEST:
        raise UnknownSUVError(f"the patient's weight of {weight:g} kg is absurd")
    if not _is_corrected(header):
        raise UnknownSUVError("they are not corrected for attenuation and decay")
    every = [list(frame.header.get("RadiopharmaceuticalInformationSequence") or ()) for frame in frames]
    injections = {tuple(str(doses[0].get(k)) for k in GIVEN) for doses in every if len(doses) == 1}
    if len(injections) != 1 or not all(len(doses) == 1 for doses in every):
        raise UnknownSUVError("the radiopharmaceutical is not given, or not the same in all slices")
    given: Dataset = every[0][0]
    dose, half_life = _number(given.get("RadionuclideTotalDose")), _number(given.get("RadionuclideHalfLife"))
    if not (dose >= LEAST_DOSE and half_life > 0):
        raise UnknownSUVError("the injected activity or the half-life is missing or absurd")
    nuclide = _nuclide(given)
    if abs(half_life / HALF_LIVES.get(nuclide, half_life) - 1) > HALF_LIFE_SLACK:
        raise UnknownSUVError(f"a half-life of {half_life:g} s is not that of {nuclide}, the nuclide it names")
    correction = str(header.get("DecayCorrection") or "")
    if correction == "ADMIN":
        return weight * 1000 / dose
    if correction != "START" and not (correction == "" and header.get("DecayCorrectionDateTime")):
        raise UnknownSUVError(
            f"the time they are corrected to is not given (decay correction {correction or 'missing'})"
        )
    elapsed = seconds_from_injection(frames, given, half_life)
    return float(weight * 1000 / (dose * 2.0 ** (-elapsed / half_life)))


def _nuclide(given: Dataset) -> str:
    """Such as ``F18``, by the name of the code; empty where there is none that is known."""
    for code in given.get("RadionuclideCodeSequence") or ():
        meaning = str(code.get("CodeMeaning") or "").upper()
        letters, mass = re.sub(r"[^A-Z]", "", meaning), re.sub(r"[^0-9]", "", meaning)
        return ELEMENTS.get(letters, letters) + mass
    return ""


def _is_corrected(header: Dataset) -> bool:
    """Whether values are corrected for attenuation and decay, as old or enhanced objects say it."""
    corrections: Any = header.get("CorrectedImage") or ()
    corrected = {corrections} if isinstance(corrections, str) else {str(c) for c in corrections}
    if header.get("AttenuationCorrected") == "YES":
        corrected.add("ATTN")
    if header.get("DecayCorrected") == "YES":
        corrected.add("DECY")
    return {"ATTN", "DECY"} <= corrected


def units_of(frames: Sequence[Frame]) -> str:
    """DICOM's word for what all values are in; empty where it is not known."""
    stated = {str(frame.header.get("Units") or "").upper() for frame in frames}
    if len(stated) > 1:
        return "SEVERAL"
    if stated != {""}:
        return stated.pop()
    first = frames[0]
    for mapping in first.header.get("RealWorldValueMappingSequence") or ():
        slope, codes = _number(mapping.get("RealWorldValueSlope")), mapping.get("MeasurementUnitsCodeSequence") or ()
        # Values were turned by slope and intercept; only where the mapping is the same are they what it says.
        if codes and (slope, _number(mapping.get("RealWorldValueIntercept"))) == (first.slope, first.intercept):
            return UCUM.get(str(codes[0].get("CodeValue")), "")
    return ""


def _number(value: Any) -> float:
    """A finite number, or NaN, which no comparison lets pass."""
    try:
        number = float(getattr(value, "value", value))
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan
