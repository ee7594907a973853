"""What in a result a person should look at first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Flag:
    """A warning, and its weight in the review priority: 1 worth a look, 2 likely wrong, 4 useless."""

    text: str
    weight: float = 1.0


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
        For an ensemble, mean Dice of each network's labels with those of their average.
    n_components : int
        Connected components.
    largest_component_fraction : float
        Fraction of its voxels in the largest, 0 where there is none.
    touches_border : bool
        Whether it touches the edge of the field of view.
    """

    class_name: str
    boundary_entropy: float | None
    ensemble_dice: float | None
    n_components: int
    largest_component_fraction: float
    touches_border: bool


@dataclass(frozen=True)
class Quality:
    """Figures of every class of the label table, in its order, and warnings of the case."""

    rows: tuple[ClassQuality, ...]
    flags: tuple[Flag, ...]
    mark: str = ""  # what every file must say, where the result was to be withheld

    @property
    def warnings(self) -> tuple[str, ...]:
        """Texts of the flags."""
        return tuple(flag.text for flag in self.flags)

    @property
    def uncertainty(self) -> float:
        """Boundary entropy of the most uncertain class."""
        return max((row.boundary_entropy or 0.0 for row in self.rows), default=0.0)
