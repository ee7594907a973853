"""Whether the pixels of a DICOM file are compressed, so that a codec has to decode them."""

from __future__ import annotations

from pathlib import Path

from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def is_compressed(path: Path) -> bool:
    """Whether a file says so, by the first bytes of it; False where it does not say how its pixels are stored."""
    try:
        syntax = read_file_meta_info(path).get("TransferSyntaxUID")
    except InvalidDicomError:  # of data before there were files of DICOM
        return False
    except Exception:  # pydicom raises nearly anything on damaged files
        return True
    return bool(syntax) and syntax not in PLAIN
