"""Tells a folder of scans without any label from a dataset."""

from __future__ import annotations

from pathlib import Path

from medseg.data.file_names import name_units
from medseg.data.file_units import list_units
from medseg.data.layout_msd import DESCRIPTION
from medseg.data.layouts import LAYOUTS
from medseg.io.discover import survey
from medseg.io.files.review_folder import REVIEW, is_review


def holds_scans_alone(path: Path) -> bool:
    """Whether a folder is no dataset: no layout fits it, and nothing in it is a label by its name, or drawn in DICOM.

    A folder that describes itself as a dataset is one, whatever is wrong with it.
    """
    if (
        not path.is_dir()
        or is_review(path / REVIEW)
        or any(path.glob(DESCRIPTION))
        or any(path.glob(f"*/{DESCRIPTION}"))
    ):
        return False
    if any(layout.recognize(path) for layout in LAYOUTS if layout.name != "dicom"):
        return False
    if any(named.role == "label" for named in name_units(list_units(path))):
        return False
    is_dicom = any(layout.recognize(path) for layout in LAYOUTS if layout.name == "dicom")
    return not is_dicom or not survey([path]).label_objects
