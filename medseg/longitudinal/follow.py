"""`medseg.follow`: two time points of a patient, compared."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from medseg.config.arguments import check_arguments, listed
from medseg.errors import FormatLimitation, InputError, UsageError
from medseg.io.files.atomic import write_text
from medseg.io.files.writable import output_folder
from medseg.longitudinal.alignment import align, given_alignment
from medseg.longitudinal.classes_in_common import with_classes_in_common
from medseg.longitudinal.compare_times import compare_times
from medseg.longitudinal.figures import figures, overview
from medseg.longitudinal.follow_files import write_follow_up
from medseg.longitudinal.follow_page import follow_page
from medseg.longitudinal.response import Summed
from medseg.longitudinal.time_point import TimePoint, lesion_classes, object_classes
from medseg.longitudinal.time_point_files import read_time_points
from medseg.types.follow_up import FollowUp

REPORT = "follow.sr.dcm"
log = logging.getLogger("medseg.longitudinal.follow")


@check_arguments
def follow(
    before: Path | str,
    after: Path | str,
    out: Path | str,
    *,
    scans: Sequence[Path | str] | Path | str = (),
    classes: str | Sequence[str] = (),
    short_axis: str | Sequence[str] = (),
    registered: bool = False,
) -> FollowUp:
    """Compare two time points of a patient: what is new, gone, grown or shrunk, and by how much.

    The later scan is registered rigidly with the earlier one, and the comparison withheld where that cannot be trusted.
    Objects are paired by where they lie in the common space; every volume and diameter is measured on its own scan's
    grid, and no label is resampled. Labels that were accepted in a review take the place of the model's.

    Parameters
    ----------
    before, after : path
        Each the folder of a case in the results of `medseg predict`, or a file of labels. Which is earlier is as given;
        dates that say otherwise are a warning.
    out : path
        Folder for follow.csv, follow.json, follow.html and, where both scans are DICOM, follow.sr.dcm.
    scans : path or sequence of path
        Where the scans are: of results, if they were moved since; of two label files, their scans in the same order.
    classes : str or sequence of str
        Classes whose objects are followed (``--class``); by default the countable ones, or all where none is.
    short_axis : str or sequence of str
        Classes that are lymph nodes, of which RECIST sums the short axis.
    registered : bool
        Whether both already lie in one space, so that nothing is registered and label files need no scan.

    Returns
    -------
    FollowUp
        Every object and class at both times, with what changed beyond repeatability.

    Raises
    ------
    UsageError
        When a path is no result and no label map, or a class is not known.
    InputError
        When labels or scans cannot be read or found, or are of two patients.
    NotComparable
        When the two scans could not be registered with certainty.
    """
    folder = output_folder(out)
    paths = (Path(before), Path(after))
    if paths[0].resolve() == paths[1].resolve():
        raise UsageError("the same time point was given twice", where=paths[0], fix="Give two time points.")
    nodes = tuple(listed(short_axis))
    points = read_time_points(paths, [Path(path) for path in listed(scans)], needs_scans=not registered)
    _check(points)
    points = with_classes_in_common(points)
    followed = object_classes(points, tuple(dict.fromkeys([*listed(classes), *(nodes if classes else ())])))
    object_classes(points, nodes)
    alignment = given_alignment() if registered else align(*points)
    summed = Summed(lesion_classes(points, followed, bool(listed(classes))), nodes)
    found = compare_times(points, alignment, followed, summed)
    folder.mkdir(parents=True, exist_ok=True)
    write_follow_up(found, folder)
    page = follow_page(found, overview(found, points, followed), figures(found, points, followed))
    write_text(folder / "follow.html", page)
    _write_report(found, points, folder)
    return found


def _check(points: tuple[TimePoint, TimePoint]) -> None:
    before, after = points
    if before.patient and after.patient and before.patient != after.patient:
        raise InputError(
            "the two scans are of two patients, by their DICOM headers",
            where=f"{before.case_id}, {after.case_id}",
            fix="Give two scans of one patient.",
        )
    for point in points:
        if 1 in point.grid.shape:
            raise InputError(
                "a single slice cannot be registered or followed", where=point.case_id, fix="Give volumes."
            )


def _write_report(found: FollowUp, points: tuple[TimePoint, TimePoint], folder: Path) -> None:
    """Write the DICOM report where both scans are DICOM series; say so where it cannot be."""
    from medseg.io.dicom_results.sr_follow_up import ReportedTime, write_follow_up_sr

    times = [
        ReportedTime(point.labels, point.scan.source, point.model)
        for point in points
        if point.scan is not None and point.scan.source.format == "dicom"
    ]
    if len(times) < 2:
        return
    try:
        write_follow_up_sr(found, (times[0], times[1]), folder / REPORT)
    except FormatLimitation as error:
        log.warning("no DICOM report was written: %s", error)
