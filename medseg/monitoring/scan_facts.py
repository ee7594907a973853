"""What scanner a scan is from, its spacing and its intensities."""

from __future__ import annotations

import numpy as np

from medseg.errors import MedsegError
from medseg.harmless import one_line
from medseg.io.dicom.header import lenient
from medseg.io.dicom.inflated import read_dicom
from medseg.io.read import read_scan
from medseg.isolation.boundary import insist
from medseg.post.in_plane_axes import slice_axis
from medseg.review.scan_finder import ScanFinder
from medseg.types import FoundScan, Scan

PERCENTILES = (5, 50, 95)
MOST = 1 << 18  # voxels looked at

Facts = tuple[dict[str, str], dict[str, float]]


def scan_facts(finder: ScanFinder, case_id: str, input_sha256: str) -> Facts:
    """Read a case's scan, where it is still there; texts and figures, none that is not known."""
    try:
        return insist(_facts, finder.find(case_id, input_sha256)[0])
    except MedsegError:  # moved, deleted or unreadable by now: the other columns are known without it
        return {}, {}


def _facts(found: FoundScan) -> Facts:
    scan = read_scan(found, allow_uneven=True, allow_incomplete=True)
    texts, figures = _header(scan)
    spacing, across = scan.geometry.spacing, slice_axis(scan.geometry)
    figures["spacing_in_plane_mm"] = float(np.mean(np.delete(spacing, across)))
    figures["spacing_between_slices_mm"] = spacing[across]
    array = scan.array[0]
    step = max(1, int(np.ceil((array.size / MOST) ** (1 / 3))))
    sample = array[::step, ::step, ::step]
    sample = sample[np.isfinite(sample)]
    if sample.size:
        values = np.percentile(sample, PERCENTILES)
        figures |= {f"intensity_p{p}": float(value) for p, value in zip(PERCENTILES, values, strict=True)}
    return {"modality": scan.modality or scan.source.format, **texts}, figures


def _header(scan: Scan) -> Facts:
    """Maker and model of a DICOM scan's scanner, never the name of a station or a hospital."""
    if scan.source.format != "dicom":
        return {}, {}
    with lenient():
        header = read_dicom(scan.source.files[0], stop_before_pixels=True, force=True)
        stated = {"manufacturer": header.get("Manufacturer"), "scanner": header.get("ManufacturerModelName")}
        strength = header.get("MagneticFieldStrength")
    texts = {name: one_line(text)[:64] for name, text in stated.items() if text}
    try:
        return texts, {} if strength in (None, "") else {"field_strength_t": float(strength)}
    except (TypeError, ValueError):
        return texts, {}
