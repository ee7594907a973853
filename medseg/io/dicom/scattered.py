"""Finds the series whose images each got a series UID of their own, as faulty de-identification gives them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np

from medseg.io.dicom.frame import Frame
from medseg.io.dicom.interleaved import is_even
from medseg.io.dicom.orientation import by_orientation
from medseg.io.dicom.volumes import FEW, is_new_in_each

# How far first pixels may lie from a straight line, mm, and still be a stack.
OFF_LINE = 1.0


def rejoined(series: Mapping[str, Sequence[Frame]]) -> dict[str, list[Frame]]:
    """Join series of one image each that are one stack in all but their UIDs; all others stay as they are.

    One stack has one patient, modality, series number, size and pixel spacing, lies in one folder and one direction,
    and has images at three places or more along a line. Study and frame of reference are shared, or new in every file
    too. The joined series goes by the smallest of the UIDs. Even stacks with a patient's ID that is new in every file
    are joined too, and refused later: nothing says whose they are.
    """
    alone = {uid: frames[0] for uid, frames in series.items() if len(frames) == 1 and _may_be_part(frames[0])}
    inside = Counter(frame.file.parent for frame in alone.values())
    joined = {uid: list(frames) for uid, frames in series.items()}
    for of_one_patient in (True, False):
        groups: dict[Hashable, list[str]] = {}
        for uid, frame in alone.items():
            # Archives may export each series into a folder of its own.
            folder = frame.file.parent if inside[frame.file.parent] > 1 else frame.file.parent.parent
            groups.setdefault(_mark(frame, folder, "PatientID" if of_one_patient else ""), []).append(uid)
        for uids in groups.values():
            for stack in by_orientation([alone[uid] for uid in uids]):
                if not _is_stack(stack) or not (of_one_patient or _is_anybodys(stack)):
                    continue
                members = sorted(str(frame.header.get("SeriesInstanceUID")) for frame in stack)
                joined[members[0]] = [frame for uid in members for frame in joined.pop(uid)]
                alone = {uid: frame for uid, frame in alone.items() if uid not in members}
    return joined


def _is_anybodys(frames: Sequence[Frame]) -> bool:
    return is_new_in_each(frames, "PatientID") and is_even(frames)


def _may_be_part(frame: Frame) -> bool:
    return frame.index is None and frame.is_placed and "LOCALIZER" not in frame.image_type


def _mark(frame: Frame, folder: Path, identity: str) -> Hashable:
    get = frame.header.get
    keywords = (*([identity] if identity else []), "SOPClassUID", "Modality", "SeriesNumber", "SeriesDescription")
    spacing = tuple(round(s, 4) for s in frame.pixel_spacing or ())
    return folder, *(str(get(keyword) or "") for keyword in keywords), frame.rows, frame.columns, spacing


def _is_stack(frames: Sequence[Frame]) -> bool:
    if len(frames) < FEW:
        return False
    for keyword in ("StudyInstanceUID", "FrameOfReferenceUID"):
        if len({str(f.header.get(keyword)) for f in frames}) > 1 and not is_new_in_each(frames, keyword):
            return False
    positions = np.array([frame.position for frame in frames])
    away = positions - positions.mean(axis=0)
    direction = np.linalg.svd(away)[2][0]
    off = np.linalg.norm(away - np.outer(away @ direction, direction), axis=1).max()
    return bool(off <= OFF_LINE and len(np.unique(np.round(away @ direction, 2))) >= FEW)
