"""Along which axes predictions are averaged over mirrored copies."""

from __future__ import annotations

from medseg.data.mirror_pairs import axes_with_sides
from medseg.models.card import ModelCard
from medseg.prepare.card import InputCard


def mirror_axes(card: ModelCard, choice: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Network axes to mirror along, and a note where they are not those requested."""
    requested = card.mirror if choice == "auto" else choice
    if requested == "none":
        return (), ()
    every = tuple(range(card.network.dimensions))
    wanted = every if requested == "all" else tuple(axis for axis in every if _is_left_right(card.input, axis))
    sides = {} if card.input.mirror_sides else _sides(card)
    wanted, apart = tuple(a for a in wanted if a not in sides), [sides[a] for a in wanted if a in sides]
    notes = [f"Not mirrored where left and right would be mixed: {apart[0]}."] if apart else []
    if card.input.mirror_axes is None:
        if wanted:
            notes.append("The model card does not tell whether its network may be mirrored.")
        return wanted, tuple(notes)
    sound = tuple(axis for axis in wanted if axis in card.input.mirror_axes)
    if sound != wanted:
        notes.append(
            f"Mirrored along {len(sound)} of {len(wanted)} axes, because the network was not trained for the others."
        )
    return sound, tuple(notes)


def _sides(card: ModelCard) -> dict[int, str]:
    """Network axes along which classes are left and right by their names, with the reason.

    Others' packages are often trained on mirrored patches whatever their classes; their averages would mix the sides.
    """
    names = [c.name for c in card.classes]
    found = axes_with_sides(names, (), order=card.input.axis_order, orientation=card.input.orientation)
    return {"xyz".index(axis): why for axis, why in found.items()}


def _is_left_right(card: InputCard, axis: int) -> bool:
    """Whether an axis of the network runs between left and right; of scans as stored, the first is taken to."""
    source = card.axis_order[axis]
    return source == 0 if card.orientation == "stored" else card.orientation[source] in "LR"
