"""Findings about the intensities of CT: another zero than Hounsfield units have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medseg.data.dataset import Dataset
from medseg.data.examine import Examined
from medseg.data.findings import Finding
from medseg.data.hounsfield import MAY_BE_CT, Levels, not_hounsfield, seem_ct, shifted


def ct_findings(data: Dataset, examined: Sequence[Examined]) -> Iterator[Finding]:
    """CT scans that are off by a rescale intercept, or that cannot be in Hounsfield units."""
    read = [one for one in examined if one.levels and not one.constant]
    for number, channel in enumerate(c for c in data.channels if c.modality in MAY_BE_CT):
        levels = [one.levels[number] for one in read]
        if channel.modality is None and not any(one.is_sound for one in levels) and not seem_ct(levels):
            continue  # nothing shows that it is CT
        off = dict(shifted(levels))
        for place, difference in off.items():
            message = (
                f"'{channel.name}' is {difference:+,.0f} against the other cases, as without its rescale intercept; "
                f"{levels[place].air:.0%} of its voxels are as dark as air, in the others "
                f"{max(one.air for one in levels):.0%}."
            )
            yield Finding("shifted-intensity", message, read[place].case.case_id)
        windowed = [place for place, one in enumerate(levels) if one.is_windowed and place not in off]
        if channel.modality is not None and windowed:
            yield _windowed(channel.name, levels, windowed, [one.case.case_id for one in read])
        elif not off and not_hounsfield(levels):
            lowest = min(one.lowest for one in levels)
            message = f"No voxel of '{channel.name}' is below {lowest:,.0f} in any case; air and fat are, in CT."
            yield Finding("not-hounsfield", message)


def _windowed(channel: str, levels: Sequence[Levels], places: Sequence[int], names: Sequence[str]) -> Finding:
    """Say in how many cases values beyond a window are gone; of one, which it is."""
    one = levels[places[0]]
    what = f"'{channel}' holds {one.lowest:,.0f} to {one.highest:,.0f}, and {one.at_lowest:.0%} of it the lowest"
    if len(places) == 1:
        return Finding("windowed-intensity", f"{what}: what is darker than a window was cut off.", names[places[0]])
    message = f"{len(places)} of {len(levels)} cases are cut off at a window; in {names[places[0]]}, {what}."
    return Finding("windowed-intensity", message)
