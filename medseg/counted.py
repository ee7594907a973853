"""Numbers of things as a sentence says them: one of it has another form than several."""

from __future__ import annotations


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return a number with what it counts.

    >>> counted(1, "volume"), counted(0, "volume"), counted(1200, "study", "studies")
    ('1 volume', '0 volumes', '1,200 studies')
    """
    return f"{number:,} {one if number == 1 else several or one + 's'}"
