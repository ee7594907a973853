"""How large a scan may be: checked against what a header promises, before memory is spent."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import psutil

from medseg.errors import ResourceLimit

MOST_OF_MEMORY = 0.75
# Deflate cannot shrink anything further than this (RFC 1951: 258 bytes in two bits), so a header that promises more
# than this many times the compressed size lies.
LARGEST_DEFLATE_RATIO = 1032


@cache
def largest_scan() -> int:
    """Bytes one scan may take: three quarters of the memory this machine, or its container, has."""
    total = int(psutil.virtual_memory().total)
    for group in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(group).read_text()))
        except (OSError, ValueError):  # not Linux, not in a container, or "max"
            continue
    return int(MOST_OF_MEMORY * total)


def check_size(shape: Sequence[int], item_bytes: int, *, where: object) -> int:
    """Bytes an array takes; more than `largest_scan` are rejected."""
    needed = math.prod(int(n) for n in shape) * item_bytes
    if needed > largest_scan():
        raise ResourceLimit(
            f"its header promises {' x '.join(map(str, shape))} voxels, {needed / 2**30:.1f} GiB; "
            f"this machine may spend {largest_scan() / 2**30:.1f} GiB on a scan",
            where=where,
            fix="Use a machine with more memory, or, if the header lies, write the file again.",
        )
    return needed
