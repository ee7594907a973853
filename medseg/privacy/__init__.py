"""De-identification of DICOM."""
