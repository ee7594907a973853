"""Standardized uptake values of PET, by body weight: what of the injected activity each gram holds."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from pydicom.dataset import Dataset
from pydicom.valuerep import DA, DT, TM

from medseg.io.dicom.frame import Frame

PET = "1.2.840.10008.5.1.4.1.1.128"
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
    if str(header.get("SOPClassUID")) != PET:
        return 1.0, (), ()
    units = str(header.get("Units") or "").upper()
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
    except _Unknown as reason:
        return 1.0, (KEPT.format("Bq/ml", str(reason)),), ()
    except Exception:  # pydicom raises nearly anything on damaged values
        return 1.0, (KEPT.format("Bq/ml", "what the header says of dose and time cannot be read"),), ()
    return factor, (), ("PET values were turned from Bq/ml into SUV by body weight",)


class _Unknown(Exception):
    """Why SUV cannot be known."""


def _from_activity(frames: Sequence[Frame]) -> float:
    header = frames[0].header
    weight = _number(header.get("PatientWeight"))
    if not 0 < weight < 1000:
        raise _Unknown("the patient's weight is missing")
    corrections: Any = header.get("CorrectedImage") or ()
    corrected = {corrections} if isinstance(corrections, str) else {str(c) for c in corrections}
    if not {"ATTN", "DECY"} <= corrected:
        raise _Unknown("they are not corrected for attenuation and decay")
    doses: Any = header.get("RadiopharmaceuticalInformationSequence") or ()
    if len(doses) != 1:
        raise _Unknown("the radiopharmaceutical is not given")
    dose, half_life = _number(doses[0].get("RadionuclideTotalDose")), _number(doses[0].get("RadionuclideHalfLife"))
    if not (dose >= LEAST_DOSE and half_life > 0):
        raise _Unknown("the injected activity or the half-life is missing or absurd")
    correction = str(header.get("DecayCorrection") or "")
    if correction == "ADMIN":
        return weight * 1000 / dose
    if correction != "START":
        raise _Unknown(f"the time they are corrected to is not given (decay correction {correction or 'missing'})")
    elapsed = (_scan_start(frames) - _injection(doses[0], header)).total_seconds()
    if not 0 <= elapsed < 10 * half_life:
        raise _Unknown("the time between injection and scan is absurd")
    return float(weight * 1000 / (dose * 2.0 ** (-elapsed / half_life)))


def _scan_start(frames: Sequence[Frame]) -> datetime:
    """When the series began; a series time after the first acquisition is that of later processing, and no use."""
    header = frames[0].header
    start = _moment(header.get("SeriesDate"), header.get("SeriesTime"))
    acquired = [_moment(f.header.get("AcquisitionDate"), f.header.get("AcquisitionTime")) for f in frames]
    known = [moment for moment in acquired if moment is not None]
    if start is None or (known and start > min(known)):
        raise _Unknown("the start of the series is missing, or later than its first image")
    return start


def _injection(dose: Dataset, header: Dataset) -> datetime:
    stated = dose.get("RadiopharmaceuticalStartDateTime")
    if stated:
        injected: datetime = DT(stated).replace(tzinfo=None)
        return injected
    moment = _moment(header.get("SeriesDate"), dose.get("RadiopharmaceuticalStartTime"))
    start = _moment(header.get("SeriesDate"), header.get("SeriesTime"))
    if moment is None or start is None:
        raise _Unknown("the time of injection is missing")
    return moment - timedelta(days=1) if moment > start else moment  # injected before midnight, scanned after


def _moment(date: Any, time: Any) -> datetime | None:
    try:
        return datetime.combine(DA(date), TM(time)) if date and time else None
    except (TypeError, ValueError):
        return None


def _number(value: Any) -> float:
    """A number, or NaN, which no comparison lets pass."""
    try:
        return float(getattr(value, "value", value))
    except (TypeError, ValueError):
        return float("nan")
