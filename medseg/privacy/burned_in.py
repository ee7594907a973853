"""Whether an object's pixels may carry the patient's name as part of the image.

No program here looks for text in pixels, so none is called clean: an object is let through only where its kind and its
header give no reason for uncertainty.
"""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    EnhancedPETImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    LegacyConvertedEnhancedPETImageStorage,
    MRImageStorage,
    ParametricMapStorage,
    PositronEmissionTomographyImageStorage,
)

from medseg.io.dicom.header import SEGMENTATIONS
from medseg.io.dicom.pixels import COLORS

TOMOGRAPHY = {
    CTImageStorage, MRImageStorage, PositronEmissionTomographyImageStorage, EnhancedCTImageStorage,
    EnhancedMRImageStorage, EnhancedPETImageStorage, LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage, LegacyConvertedEnhancedPETImageStorage,
}  # fmt: skip
MAPS = {*SEGMENTATIONS, ParametricMapStorage}
SCREENS = {"SCREEN SAVE", "SCREENSHOT", "SCREEN", "REPORT", "PROTOCOL", "DOSE_INFO"}


def uncertainty_about_pixels(dataset: Dataset) -> str | None:
    """Reason why the pixels may show who the patient is; None where there is no reason to think so."""
    if not any(keyword in dataset for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        return None
    if str(dataset.get("PhotometricInterpretation", COLORS[0])) not in COLORS:
        return "its header does not say in DICOM's words what its pixels mean"
    if str(dataset.get("BurnedInAnnotation", "")).upper() == "YES":
        return "its header says that the patient's data are drawn into its pixels"
    if str(dataset.get("RecognizableVisualFeatures", "")).upper() == "YES":
        return "its header says that the patient can be recognized in its pixels"
    if any(
        (element.tag.group & 0xFF00) == 0x6000 and element.tag.element == 0x0102 and element.value
        for element in dataset
    ):
        return "an overlay lies in the unused bits of its pixels, which often shows the patient's name"
    kind = dataset.get("SOPClassUID")
    if kind in MAPS:
        return None
    if kind not in TOMOGRAPHY:
        return "images of its kind often show the patient's name, and no person has looked"
    image_type = {str(value).upper() for value in dataset.get("ImageType") or ()}
    # A secondary image with a place in the patient is a reformatted one, as scanners and archives make them; one
    # without is what was on a screen.
    homeless = "ImagePositionPatient" not in dataset and "PerFrameFunctionalGroupsSequence" not in dataset
    if image_type & SCREENS or dataset.get("ConversionType") or ("SECONDARY" in image_type and homeless):
        return "it is an image of a screen or a report, which often show the patient's name, and no person has looked"
    if int(dataset.get("SamplesPerPixel") or 1) > 1:
        return "it is a color image, which a tomograph does not make, and no person has looked"
    return None
