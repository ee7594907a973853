"""When a PET was injected and begun, by a header that may give either in several ways, in several zones, or in part."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from pydicom.dataset import Dataset
from pydicom.valuerep import DA, DT, TM

from medseg.io.dicom.frame import Frame

DAY = timedelta(days=1)
# Times that differ by no more are one: some headers round to minutes.
SAME = timedelta(minutes=1)
# A series that begins earlier than this before its first image was begun by something else.
LONGEST_WAIT = timedelta(minutes=15)
# After this many half-lives nothing is left to be seen.
MOST_HALF_LIVES = 10


class UnknownSUVError(Exception):
    """Why SUV cannot be known."""


def seconds_from_injection(frames: Sequence[Frame], dose: Dataset, half_life: float) -> float:
    """Seconds from the injection to the time that values are decay corrected to, the start of the series."""
    start = _scan_start(frames)
    injected, days_known = _injection(dose, frames[0].header, start)
    elapsed = (start - injected).total_seconds()
    if not 0 <= elapsed < MOST_HALF_LIVES * half_life:
        raise UnknownSUVError("the time between injection and scan is absurd")
    if not days_known and elapsed + DAY.total_seconds() < MOST_HALF_LIVES * half_life:
        raise UnknownSUVError(
            f"only the time of day of the injection is given, and with a half-life of {half_life / 3600:.3g} hours "
            "the day is not known"
        )
    return elapsed


def _scan_start(frames: Sequence[Frame]) -> datetime:
    """When the series began; one that began after its first image, or long before, was written by later processing."""
    headers = list({id(frame.header): frame.header for frame in frames}.values())
    first = headers[0]
    corrected = first.get("DecayCorrectionDateTime")
    if corrected and not first.get("DecayCorrection"):
        return _local(_moment_of(corrected), first)
    starts = {_moment(header.get("SeriesDate"), header.get("SeriesTime")) for header in headers}
    start = starts.pop()
    acquired = [_moment(header.get("AcquisitionDate"), header.get("AcquisitionTime")) for header in headers]
    known = [moment for moment in acquired if moment is not None]
    if starts or start is None or (known and start > min(known)):
        raise UnknownSUVError("the start of the series is missing, or later than its first image")
    if known and min(known) - start > LONGEST_WAIT:
        raise UnknownSUVError("the series started long before its first image")
    return start


def _injection(dose: Dataset, header: Dataset, start: datetime) -> tuple[datetime, bool]:
    """When the injection was, in the series' own zone, and whether its day is given."""
    stated, time = dose.get("RadiopharmaceuticalStartDateTime"), dose.get("RadiopharmaceuticalStartTime")
    clock = _moment(start.strftime("%Y%m%d"), time)
    if stated:
        injected = _moment_of(stated)
        if injected.tzinfo is not None and not header.get("TimezoneOffsetFromUTC") and clock is not None:
            # Both are written by the same clock, or the zone that lies between them is not known.
            injected = injected.replace(tzinfo=None)
        injected = _local(injected, header)
        if clock is not None and SAME < (injected - clock) % DAY < DAY - SAME:
            raise UnknownSUVError("the two times of injection in the header contradict each other")
        return injected, True
    if clock is None:
        raise UnknownSUVError("the time of injection is missing")
    return (clock - DAY if clock > start else clock), False  # injected before midnight, scanned after


def _moment_of(stated: Any) -> datetime:
    """A date and time, with the zone it states."""
    if len(re.match(r"\d*", str(stated))[0]) < len("YYYYMMDDHHMM"):  # type: ignore[index]
        raise UnknownSUVError("a date and time is given without hours and minutes")
    moment: datetime = DT(stated)
    return moment


def _local(moment: datetime, header: Dataset) -> datetime:
    """A moment in the zone of the series' dates and times."""
    if moment.tzinfo is None:
        return moment
    offset = re.fullmatch(r"([+-])(\d\d)(\d\d)", str(header.get("TimezoneOffsetFromUTC") or "").strip())
    if offset is None:
        raise UnknownSUVError("a time is given in a time zone, and the zone of the series is not known")
    away = timedelta(hours=int(offset[2]), minutes=int(offset[3])) * (-1 if offset[1] == "-" else 1)
    return moment.astimezone(timezone(away)).replace(tzinfo=None)


def _moment(date: Any, time: Any) -> datetime | None:
    try:
        return datetime.combine(DA(date), TM(time)) if date and time else None
    except (TypeError, ValueError):
        return None
