"""Reads scans and label maps of every format medseg knows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medseg.config.arguments import check_arguments
from medseg.errors import InputError, UsageError
from medseg.isolation.boundary import bounded
from medseg.types.labels import LabelMap
from medseg.types.overlapping import AnyLabels
from medseg.types.scan import FoundScan, Scan

if TYPE_CHECKING:
    from medseg.io.recognize import Recognized


@bounded
def read_scan(found: FoundScan, *, allow_uneven: bool = False, allow_incomplete: bool = False) -> Scan:
    """Read a scan that `medseg.io.discover.discover` found.

    Uneven DICOM slices are resampled, and DICOM series that lost a part read without it, only if allowed.
    """
    if found.format == "nifti":
        from medseg.io import nifti

        return nifti.read_scan(found.files[0])
    if found.format == "nrrd" or found.format == "meta":
        from medseg.io import itk

        return itk.read_scan(found.files[0], found.format)
    if found.format == "image2d":
        from medseg.io import image2d

        return image2d.read_scan(found.files[0])
    if found.format == "arrays":
        from medseg.io import array_scan

        return array_scan.read_scan(found.files[0])
    if found.format == "dicom":
        from medseg.io.dicom.series import read_series

        return read_series(found, allow_uneven=allow_uneven, allow_incomplete=allow_incomplete)
    raise InputError(
        f"a scan of format '{found.format}' is not on disk", where=found.case_id, fix="Write it to a file first."
    )


@bounded
def load_scan(path: Path | str, *, allow_uneven: bool = False, allow_incomplete: bool = False) -> Scan:
    """Read the one scan in a file, or in a folder that holds one series.

    Raises
    ------
    InputError
        When there is none, or it cannot be read.
    UsageError
        When the path does not exist, or holds several scans.
    """
    from medseg.io.discover import discover

    discovery = discover([Path(path)])
    if len(discovery.found) == 1:
        return read_scan(discovery.found[0], allow_uneven=allow_uneven, allow_incomplete=allow_incomplete)
    if discovery.found:
        several = ", ".join(f"{found.case_id} ({found.description})" for found in discovery.found[:5])
        raise UsageError(
            f"there are {len(discovery.found)} scans here: {several}", where=path, fix="Give the file or folder of one."
        )
    left = next((left for left in discovery.skipped if left.corrupt), None) or next(iter(discovery.skipped), None)
    if left is None:
        raise InputError("there is no scan here", where=path, fix="Give a NIfTI, NRRD, MetaImage or DICOM scan.")
    raise InputError(left.reason, where=left.path, fix=left.fix)


@check_arguments
@bounded
def read_labels(path: Path | str) -> LabelMap:
    """Read a label map: NIfTI, NRRD (with 3D Slicer's segments), MetaImage, DICOM SEG or a gray 2D image.

    Formats that cannot name their classes take names from a table beside the file; see `medseg.io.label_table`.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    LabelMap
        Class values (X, Y, Z), where they lie, and what they are called.

    Raises
    ------
    InputError
        When it cannot be read as a label map.
    FormatLimitation
        When its segments overlap, which a label map cannot hold.
    UsageError
        When the path does not exist.
    """
    from medseg.io.label_table import with_table_beside

    path = Path(path)
    recognized = _recognized(path)
    if recognized.kind in ("nifti", "nifti-pair"):
        from medseg.io import nifti

        return with_table_beside(nifti.read_labels(path), path)
    if recognized.kind == "nrrd":
        from medseg.io import itk

        return itk.read_labels(path, recognized.kind)
    if recognized.kind == "meta":
        from medseg.io import itk

        return with_table_beside(itk.read_labels(path, recognized.kind), path)
    if recognized.kind == "image2d":
        from medseg.io import image2d

        return with_table_beside(image2d.read_labels(path), path)
    if recognized.kind == "dicom":
        from medseg.io.dicom_results.read_seg import read_seg

        return read_seg(path)
    raise InputError(
        recognized.reason or "it is not a label map",
        where=path,
        fix="Give NIfTI, NRRD, MetaImage, DICOM SEG or a gray 2D image.",
    )


@check_arguments
@bounded
def read_any_labels(path: Path | str) -> AnyLabels:
    """Read labels as `read_labels` does, and those of classes that share voxels as labels that may overlap.

    These are a DICOM SEG with overlapping segments, NIfTI, NRRD and MetaImage with the mask of one class in each
    channel, and 3D Slicer's and MITK's layers.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    LabelMap or OverlappingLabels
        One class for each voxel, or any number of them; `OverlappingLabels.mask` gives one class as a whole.

    Raises
    ------
    InputError
        When it cannot be read as labels.
    UsageError
        When the path does not exist.
    """
    from medseg.io.label_table import any_with_table_beside, find_table

    path = Path(path)
    kind = _recognized(path).kind
    if kind in ("nifti", "nifti-pair"):
        from medseg.io import nifti

        labels = nifti.read_any_labels(path, one_hot=find_table(path) is None)
        return any_with_table_beside(labels, path)
    if kind == "nrrd":
        from medseg.io import itk

        return itk.read_any_labels(path, kind)
    if kind == "meta":
        from medseg.io import itk

        return any_with_table_beside(itk.read_any_labels(path, kind), path)
    if kind == "dicom":
        from medseg.io.dicom_results.read_seg import read_any_seg

        return read_any_seg(path)
    return read_labels(path)


def _recognized(path: Path) -> Recognized:
    """What kind of file labels are in, where there is a file."""
    from medseg.io.recognize import recognize

    if not path.exists():
        raise UsageError("there is no such file", where=path, fix="Check the path.")
    if path.is_dir():
        raise UsageError("this is a folder", where=path, fix="Give the file with the label map.")
    return recognize(path)
