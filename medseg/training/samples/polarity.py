"""Tells cases whose classes are bright on dark from those where they are dark on bright, by the images themselves."""

from __future__ import annotations

from collections.abc import Sequence

from medseg.training.samples.prepared import IGNORED, PreparedCase

Cases = tuple[PreparedCase, ...]


def by_polarity(cases: Sequence[PreparedCase]) -> tuple[Cases, ...]:
    """Return the cases whose classes are brighter than the background, and all others; kinds without a case are gone.

    What counts is the mean over all channels, as prepared.
    """
    bright = [_is_bright(case) for case in cases]
    kinds = (
        tuple(case for case, is_of_kind in zip(cases, bright, strict=True) if is_of_kind),
        tuple(case for case, is_of_kind in zip(cases, bright, strict=True) if not is_of_kind),
    )
    return tuple(kind for kind in kinds if kind)


def _is_bright(case: PreparedCase) -> bool:
    image, labels = case.open()
    gray, marked, background = image.mean(0), (labels > 0) & (labels != IGNORED), labels == 0
    return bool(marked.any() and background.any() and gray[marked].mean() > gray[background].mean())
