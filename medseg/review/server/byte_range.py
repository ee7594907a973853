"""One part of a file, as a request's `Range` asks for it (RFC 9110, section 14)."""

from __future__ import annotations

import re

ONE_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")


class NotThere(Exception):
    """The file has no such bytes."""


def asked_range(header: str | None, size: int) -> tuple[int, int] | None:
    """Return first byte and the one after the last; None where the whole file is to be sent.

    A header of another form, or with several ranges, is ignored, as the standard allows.

    >>> asked_range("bytes=0-351", 1000), asked_range("bytes=-10", 1000), asked_range("bytes=5-", 10)
    ((0, 352), (990, 1000), (5, 10))
    """
    found = ONE_RANGE.fullmatch(header.strip()) if header else None
    if found is None:
        return None
    if found[3] is not None:
        length = min(int(found[3]), size)
        if length == 0:
            raise NotThere
        return size - length, size
    first = int(found[1])
    end = min(int(found[2]) + 1, size) if found[2] else size
    if found[2] and int(found[2]) < first:
        return None
    if first >= size:
        raise NotThere
    return first, end
