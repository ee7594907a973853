"""What two time points show of each other, as lines for a terminal."""

from __future__ import annotations

from medseg.longitudinal.follow_page import when
from medseg.types.follow_up import FollowUp, SizeChange


def plain_follow_up(follow_up: FollowUp) -> str:
    """Return a line a class, a line an object that changed, and the sums of diameters."""
    lines = [f"Warning: {text}" for text in follow_up.warnings]
    lines += [f"{when(follow_up)} {follow_up.alignment.sentence}"]
    lines += [f"{one.class_name}: {_size(one.size)}, {one.size.verdict}" for one in follow_up.classes]
    counts = ", ".join(f"{count} {word}" for word, count in follow_up.counts.items())
    lines += [f"Objects: {counts or 'none'}"]
    lines += [
        f"  {one.number} {one.class_name}: {one.title} ({_size(one.size)})"
        for one in follow_up.objects
        if one.is_changed
    ]
    lines += [follow_up.response.sentence, *follow_up.notes]
    return "\n".join(lines)


def _size(size: SizeChange) -> str:
    percent = "" if size.percent is None else f", {size.percent:+.0f}%"
    low, high = size.difference_interval_ml
    return f"{size.before_ml:.3g} ml, then {size.after_ml:.3g} ml ({low:+.3g} to {high:+.3g} ml{percent})"
