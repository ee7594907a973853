"""What results of suitable scans look like, so that one that cannot be right is withheld."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ExpectedResult:
    """What the model's card says of results, and what is known of the scan; empty or None where it does not say.

    - `n_components`: largest number of connected components of each class in the training references.
    - `always_present`: classes that every suitable scan shows.
    - `volume_factor`: how far a volume may lie beyond the training data's where the field of view does too.
    - `boundary_entropy`: largest mean entropy along the boundaries on scans of the training data.
    - `outside_extent`: whether the scan's field of view is larger or smaller than the training data's.
    - `fix`: the way out of a result that is withheld.
    - `anyway`: whether it is made and marked all the same, and `overridden` the warnings that say why.
    """

    n_components: Mapping[str, int] = field(default_factory=dict)
    always_present: tuple[str, ...] = ()
    volume_factor: float | None = None
    boundary_entropy: float | None = None
    outside_extent: bool = False
    fix: str = ""
    anyway: bool = False
    overridden: tuple[str, ...] = ()
