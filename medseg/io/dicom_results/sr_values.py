"""The scan's values inside a class or object, and its diameters, as measurements of a DICOM report (TID 1419)."""

from __future__ import annotations

import highdicom as hd
from pydicom.sr.codedict import codes

from medseg.types.class_values import ClassValues
from medseg.types.instances import InstanceMeasures
from medseg.types.run import ClassVolume
from medseg.types.volume_interval import VolumeInterval

ACTIVITY = hd.sr.CodedConcept("activity", "99MEDSEG", "Activity concentration")
SIGNAL = hd.sr.CodedConcept("intensity", "99MEDSEG", "Intensity")
# By unit of the values: what is measured, and its unit.
QUANTITIES = {
    "HU": (codes.DCM.AttenuationCoefficient, codes.UCUM.HounsfieldUnit),
    "SUV": (codes.DCM.Suvbw, codes.UCUM.StandardizedUptakeValueBodyWeight),
    "Bq/ml": (ACTIVITY, codes.UCUM.BecquerelsPerMilliliter),
}
DERIVATIONS = {
    "mean": codes.SCT.Mean,
    "median": codes.SCT.Median,
    "standard_deviation": codes.SCT.StandardDeviation,
    "minimum": codes.SCT.Minimum,
    "maximum": codes.SCT.Maximum,
    "percentile_5": codes.SCT.FifthPercentile,
    "percentile_95": codes.SCT.NinetyFifthPercentile,
}
GRAM = hd.sr.CodedConcept("g", "UCUM", "gram")


MILLILITER = hd.sr.CodedConcept("ml", "UCUM", "Milliliter")


def volume_measurement(volume_ml: float, interval: VolumeInterval | None = None) -> hd.sr.Measurement:
    """Return a volume as a measurement; the interval as DICOM's range of uncertainty above and below it, in ml.

    The level of the interval, which DICOM has no place for, is part of the method's name.
    """
    if interval is None:
        return hd.sr.Measurement(name=codes.SCT.Volume, value=_rounded(volume_ml), unit=MILLILITER)
    meaning = f"{interval.level:.0%} interval, split conformal, {interval.cases} held-out cases"
    return hd.sr.Measurement(
        name=codes.SCT.Volume,
        value=_rounded(volume_ml),
        unit=MILLILITER,
        method=hd.sr.CodedConcept(f"interval-{100 * interval.level:.0f}", "99MEDSEG", meaning),
        properties=_in_ml(
            hd.sr.MeasurementProperties(
                upper_measurement_uncertainty=_rounded(interval.high - volume_ml),
                lower_measurement_uncertainty=_rounded(volume_ml - interval.low),
            )
        ),
    )


def _in_ml(properties: hd.sr.MeasurementProperties) -> hd.sr.MeasurementProperties:
    """Give ranges their unit; highdicom states none, so that a reader might take them for fractions."""
    for item in properties:
        item.MeasuredValueSequence[0].MeasurementUnitsCodeSequence = [MILLILITER]
    return properties


def measurements_of(row: ClassVolume | InstanceMeasures, modality: str) -> list[hd.sr.Measurement]:
    """Return what was measured of a class or an object besides its volume; nothing where nothing was.

    Long and short axis lie in one slice; the diameter, a maximum, anywhere.
    """
    lengths = (
        (codes.SCT.LongAxis, row.long_axis_mm, None),
        (codes.SCT.ShortAxis, row.short_axis_mm, None),
        (codes.SCT.Diameter, row.diameter_mm, codes.SCT.Maximum),
    )
    found = [
        hd.sr.Measurement(name=name, value=_rounded(length), unit=codes.UCUM.Millimeter, derivation=derivation)
        for name, length, derivation in lengths
        if length is not None
    ]
    for values in row.values[:1]:  # a DICOM series has one channel
        found += _of_values(values, modality)
    return found


def _of_values(values: ClassValues, modality: str) -> list[hd.sr.Measurement]:
    arbitrary = codes.DCM.MRSignalIntensity if modality == "MR" else SIGNAL
    name, unit = QUANTITIES.get(values.unit, (arbitrary, codes.UCUM.NoUnits))
    figures = values.figures()
    found = [
        hd.sr.Measurement(name=name, value=_rounded(figures[key]), unit=unit, derivation=derivation)
        for key, derivation in DERIVATIONS.items()
    ]
    if values.tlg is not None:
        found.append(hd.sr.Measurement(name=codes.DCM.TotalLesionGlycolysis, value=_rounded(values.tlg), unit=GRAM))
    return found


def _rounded(value: float) -> float:
    """Six digits: a decimal string of DICOM has no more than sixteen characters."""
    return float(f"{value:.6g}")
