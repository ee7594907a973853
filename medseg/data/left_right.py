"""Finds classes that are the left and the right of one thing, which mirroring would confuse."""

from __future__ import annotations

from collections.abc import Sequence


def paired_classes(names: Sequence[str]) -> tuple[str, str] | None:
    """Two classes that are the left and right of one thing, by their names; None where there are none."""
    for name in names:
        for left, right in (("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT")):
            if left in name and (other := name.replace(left, right)) in names:
                return name, other
        for left, right in (("_l", "_r"), ("_L", "_R"), (" l", " r"), (" L", " R"), ("-l", "-r"), ("-L", "-R")):
            if name.endswith(left) and (other := name[: -len(left)] + right) in names:
                return name, other
    return None
