"""Which elements of a DICOM header are read: what sorting, placing and distinguishing images takes."""

from __future__ import annotations

from pydicom.tag import Tag

# Everything else in a header is never read. Of the patient there is the ID, which tells whether images are of one, the
# weight, for PET, and of name, birth date, sex, age and size a hash, which tells whether they are the same.
WANTED = [
    "SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "Modality",
    "ImageType", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation", "BitsAllocated",
    "BitsStored", "HighBit", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit",
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "SpacingBetweenSlices",
    "RescaleSlope", "RescaleIntercept", "RescaleType", "ModalityLUTSequence", "InstanceNumber", "SeriesNumber",
    "SeriesDescription", "BodyPartExamined", "GantryDetectorTilt", "AcquisitionNumber", "EchoNumbers", "EchoTime",
    "TemporalPositionIdentifier", "TemporalPositionIndex", "TriggerTime", "NominalPercentageOfCardiacPhase",
    "DiffusionBValue", "DiffusionGradientOrientation", "InversionTime", "FlipAngle", "ConvolutionKernel", "KVP",
    "ContrastBolusAgent", "AcquisitionTime", "AcquisitionDateTime", "ContentTime", "SeriesTime", "SeriesDate",
    "AcquisitionDate", "ImageIndex", "NumberOfSlices", "NumberOfTimeSlices", "FrameReferenceTime",
    "Units", "SUVType", "CorrectedImage", "DecayCorrection", "PatientWeight", "RadiopharmaceuticalInformationSequence",
    "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence", "DimensionIndexSequence",
    "SliceLocation", "ScanningSequence", "ComplexImageComponent", "PatientID", "ConcatenationUID",
    "InConcatenationTotalNumber", "ImagesInAcquisition", "NumberOfSeriesRelatedInstances", "TimezoneOffsetFromUTC",
    "DecayCorrected", "AttenuationCorrected", "DecayCorrectionDateTime", "RealWorldValueMappingSequence",
    "AcquisitionMatrix", "Laterality", "ImageLaterality",
    "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "AccessionNumber", "Manufacturer",
    "DeviceSerialNumber", "StationName", "ProtocolName", "PatientPosition", "RepetitionTime", "SequenceName",
    "SequenceVariant", "ScanOptions", "ReceiveCoilName", "MagneticFieldStrength", "AcquisitionContrast", "FilterType",
    "ReconstructionDiameter", "ReconstructionMethod", "AttenuationCorrectionMethod", "ContrastBolusStartTime",
    "IrradiationEventUID", "AcquisitionUID", "DerivationDescription", "ImageComments", "DataCollectionDiameter",
    "DiffusionDirectionality", "NumberOfTemporalPositions", "PatientAge", "PatientSize",
    "SeriesType",
]  # fmt: skip
# The makers' own elements, where they say what the standard's do not, by what they hold.
MAKERS = {
    (0x0019, 0x100C): "b-value of the maker",  # Siemens
    (0x0043, 0x1039): "b-value of the maker",  # GE
    (0x2001, 0x1003): "b-value of the maker",  # Philips
    (0x0065, 0x1009): "b-value of the maker",  # United Imaging
    (0x0043, 0x102F): "kind of image of the maker",  # GE: magnitude, phase, real, imaginary
    (0x0025, 0x1007): "images of the series",  # GE
    (0x0021, 0x104F): "places of the acquisition",  # GE
    (0x2001, 0x1018): "places of the acquisition",  # Philips
    (0x0029, 0x1010): "tiles of the image",  # Siemens
}
CREATORS = [Tag(group, 0x0010) for group in (0x0021, 0x0025, 0x0029, 0x0043, 0x2001)]
WANTED_TAGS = [
    *CREATORS,
    *(Tag(keyword) for keyword in WANTED),
    *(
        Tag(*tag) for tag in ((0x0019, 0x0010), (0x0019, 0x100A), (0x0065, 0x0010), (0x0065, 0x1050))
    ),  # tiles in an image
    *(Tag(0x7053, number) for number in (0x0010, 0x1000)),  # Philips' SUV factor
    *(Tag(*tag) for tag in MAKERS),
    *(Tag(group, 0x0102) for group in range(0x6000, 0x6020, 2)),  # which bits of each pixel are overlays
]
WHOLE_NUMBERS = {Tag(keyword) for keyword in (
    "BitsAllocated", "BitsStored", "Columns", "HighBit", "InstanceNumber", "NumberOfFrames", "PixelPaddingRangeLimit",
    "PixelPaddingValue", "PixelRepresentation", "Rows", "SamplesPerPixel",
)}  # fmt: skip
KEYWORDS: dict[int, str] = {Tag(keyword): keyword for keyword in WANTED}
CHARACTER_SET = 0x00080005
CSA_HEADER = Tag(0x0029, 0x1010)
HASHED = {Tag(f"Patient{what}") for what in ("Name", "BirthDate", "Sex", "Age", "Size")}
