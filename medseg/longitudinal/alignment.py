"""Brings the positions of a later scan into the world of an earlier one, or says why that cannot be trusted."""

from __future__ import annotations

import numpy as np

from medseg.errors import InputError, MedsegError
from medseg.locate.rigid import RigidPlacement, register_rigid
from medseg.locate.sampling import Image
from medseg.longitudinal.time_point import TimePoint
from medseg.types import Scan
from medseg.types.axis_order import nearest_ras
from medseg.types.follow_up import Alignment

# Set on heads and crops: the same person moved and noisier .91 and more, 0.4 mm and less; other people, other kinds of
# images and a phantom .43 and less.
LEAST_CORRELATION = 0.6
LEAST_OVERLAP = 0.3
MOST_INCONSISTENT_MM = 2.0


class NotComparable(MedsegError):
    """Two scans cannot be brought into one space, so that nothing is said of what changed."""

    exit_code = 3


def given_alignment() -> Alignment:
    """Both scans lie in one space, by the user's word."""
    return Alignment(np.eye(4), "given")


def align(before: TimePoint, after: TimePoint) -> Alignment:
    """Register the later scan rigidly with the earlier one.

    Raises
    ------
    InputError
        When a scan is missing.
    NotComparable
        When what the registration found cannot be trusted.
    """
    if before.scan is None or after.scan is None:
        missing = before if before.scan is None else after
        raise InputError(
            "its scan is needed to register the two time points, and was not found",
            where=missing.case_id,
            fix="Give both scans with --scans, or say with --registered that both lie in one space already.",
        )
    found = register_rigid(_image(before.scan), _image(after.scan))
    if reasons := _reasons_against(found):
        raise NotComparable(
            f"the two scans could not be brought into one space with certainty: {'; '.join(reasons)}",
            where=f"{before.case_id}, {after.case_id}",
            fix="Give scans of one person and one kind, or say with --registered that both lie in one space already.",
        )
    return Alignment(
        found.matrix, "registered", found.inconsistency_mm, found.correlation, found.overlap, found.rotation_degrees
    )


def _reasons_against(found: RigidPlacement) -> list[str]:
    reasons = []
    if found.overlap < LEAST_OVERLAP:
        reasons.append(f"they show {found.overlap:.0%} of the body in common")
    if found.correlation < LEAST_CORRELATION:
        reasons.append(f"their intensities do not follow each other (correlation {found.correlation:.2f})")
    if found.inconsistency_mm > MOST_INCONSISTENT_MM:
        reasons.append(f"registered either way round they end {found.inconsistency_mm:.1f} mm apart")
    return reasons


def _image(scan: Scan) -> Image:
    order = nearest_ras(scan.geometry)
    array = np.nan_to_num(order.apply(scan.array[0]).astype(np.float32), posinf=0, neginf=0)
    return Image(array, order.geometry(scan.geometry))
