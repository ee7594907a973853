"""What datasets call a modality, in DICOM's words."""

from __future__ import annotations

# What datasets write for a modality, and DICOM's word for it.
_MODALITIES = {"MRI": "MR", "T1": "MR", "T1W": "MR", "T2": "MR", "T2W": "MR", "FLAIR": "MR", "ADC": "MR", "PET": "PT"}
_DICOM_WORDS = {"MR", "CT", "PT", "US", "CR", "DX", "MG", "XA", "NM", "OCT", "SM"}


def dicom_modality(name: str) -> str | None:
    """DICOM's word for what a dataset calls a modality; None where it is not known."""
    word = name.strip().upper().split("-")[0].split("_")[0].split(" ")[0]
    return word if word in _DICOM_WORDS else _MODALITIES.get(word)
