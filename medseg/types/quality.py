"""What in a result a person should look at first."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ClassQuality", "Flag", "Quality"]


@dataclass(frozen=True)
class Flag:
    """One thing that is odd.

    Parameters
    ----------
    text : str
        What, in words.
    weight : float
        How much it says against the result: 1 worth a look, 2 likely wrong, 4 useless.
    """

    text: str
    weight: float


@dataclass(frozen=True)
class ClassQuality:
    """Figures of one class that need no reference.

    Parameters
    ----------
    class_name : str
        The class.
    boundary_entropy : float, optional
        Mean entropy of the probabilities along its border, 0 to 1.
    ensemble_dice : float, optional
        For an ensemble, mean Dice of its members with their average.
    pieces : int
        Connected components.
    largest_component_fraction : float
        Share of its voxels in the largest, 0 where there is none.
    touches_border : bool
        Whether it touches the edge of the field of view.
    """

    class_name: str
    boundary_entropy: float | None
    ensemble_dice: float | None
    pieces: int
    largest_component_fraction: float
    touches_border: bool


@dataclass(frozen=True)
class Quality:
    """Figures of every class of the label table, in its order, and what is odd about the case."""

    rows: tuple[ClassQuality, ...]
    flags: tuple[Flag, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """The flags in words."""
        return tuple(flag.text for flag in self.flags)

    @property
    def review_priority(self) -> float:
        """How much a case asks to be looked at: the weights of its flags, and below 1 its most uncertain border."""
        uncertain = max((row.boundary_entropy or 0.0 for row in self.rows), default=0.0)
        return sum(flag.weight for flag in self.flags) + min(uncertain, 0.999)
