"""DICOM out and back: SEG, RTSTRUCT, SR, key images."""
