"""Along which axes predictions are averaged over mirrored copies."""

from __future__ import annotations

from medseg.models.card import ModelCard
from medseg.prepare.card import InputCard


def mirror_axes(card: ModelCard, choice: str) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Network axes to mirror along, and a note where they are not those requested."""
    requested = card.mirror if choice == "auto" else choice
    if requested == "none":
        return (), ()
    every = tuple(range(card.network.dimensions))
    wanted = every if requested == "all" else tuple(axis for axis in every if _is_left_right(card.input, axis))
    if card.input.mirror_axes is None:
        return wanted, ("The model card does not tell whether its network may be mirrored.",)
    sound = tuple(axis for axis in wanted if axis in card.input.mirror_axes)
    if sound == wanted:
        return sound, ()
    return sound, (
        f"Mirrored along {len(sound)} of {len(wanted)} axes, because the network was not trained for the others.",
    )


def _is_left_right(card: InputCard, axis: int) -> bool:
    """Whether an axis of the network runs between left and right; of scans as stored, the first is taken to."""
    source = card.axis_order[axis]
    return source == 0 if card.orientation == "stored" else card.orientation[source] in "LR"
