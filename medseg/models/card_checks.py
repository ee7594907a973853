"""What a model card is refused for: numbers that are impossible, and what classes that overlap cannot have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

LARGEST_NUMBER = 1e30  # of a card; what is computed with it in 32 bits stays finite
LARGEST_ARGUMENT = 65_536  # of a network; far above any number of channels, layers or voxels of a patch
MOST_OVERLAPPING = 15  # a bit for each, and a value for voxels that are not decided yet


def check_overlapping(regions: Sequence[int] | None, stages: Iterable[str], *, is_located: bool) -> None:
    """Refuse what needs one class for each voxel; raises `ValueError`.

    - `stages`: of the post-processing.
    """
    if regions is None:
        raise ValueError("classes that overlap need `regions`: the class of each output channel")
    if list(regions) != sorted(regions):
        # Probabilities then have the order of the classes, as labels and their table do.
        raise ValueError("classes that overlap must have ascending values in the order of the outputs: `regions`")
    if len(regions) > MOST_OVERLAPPING:
        raise ValueError(f"at most {MOST_OVERLAPPING} classes may overlap, not {len(regions)}")
    if is_located:
        raise ValueError("classes that overlap cannot be put together from regions that a locator finds")
    if objects := next((stage for stage in stages if stage != "clean-up"), None):
        raise ValueError(f"`{objects}` makes objects of one class for each voxel, and these classes may overlap")


def check_numbers(values: Any, most: float, *, allows_nan: bool = False) -> None:
    """Refuse numbers of more than that, and none (NaN), wherever they stand in what YAML gives; raises `ValueError`."""
    for number in _numbers(values):
        if abs(number) > most or (math.isnan(number) and not allows_nan):
            is_short = isinstance(number, float) or abs(number) < LARGEST_NUMBER
            written = f"{number:g}" if is_short else "a number of many digits"
            raise ValueError(f"{written} is no possible number here: at most {most:,g}")


def _numbers(value: Any) -> Iterator[int | float]:
    """Yield every number in what YAML gives."""
    if isinstance(value, int | float):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from _numbers(one)
