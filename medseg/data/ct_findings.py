"""Findings about the intensities of CT: another zero than Hounsfield units have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from medseg.data.dataset import Dataset
from medseg.data.examine import Examined
from medseg.data.findings import Finding
from medseg.data.hounsfield import MAY_BE_CT, not_hounsfield, shifted


def ct_findings(data: Dataset, examined: Sequence[Examined]) -> Iterator[Finding]:
    """CT scans that are off by a rescale intercept, or that cannot be in Hounsfield units."""
    read = [one for one in examined if one.levels and not one.constant]
    for number, channel in enumerate(c for c in data.channels if c.modality in MAY_BE_CT):
        levels = [one.levels[number] for one in read]
        if channel.modality is None and not any(one.is_sound for one in levels):
            continue  # nothing shows that it is CT
        off = dict(shifted(levels))
        for place, difference in off.items():
            message = (
                f"'{channel.name}' is {difference:+,.0f} against the other cases, as without its rescale intercept; "
                f"{levels[place].air:.0%} of its voxels are as dark as air, in the others "
                f"{max(one.air for one in levels):.0%}."
            )
            yield Finding("shifted-intensity", message, read[place].case.case_id)
        if not off and not_hounsfield(levels):
            lowest = min(one.lowest for one in levels)
            message = f"No voxel of '{channel.name}' is below {lowest:,.0f} in any case; air and fat are, in CT."
            yield Finding("not-hounsfield", message)
