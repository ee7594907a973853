"""DICOM images in: headers, frames, volumes, series."""
