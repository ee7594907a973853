"""Shows a grey picture to a network that was trained on colours."""

from __future__ import annotations

import numpy as np

from medseg.prepare.card import InputCard
from medseg.types import Scan

__all__ = ["COLOURS", "in_colour"]

# What channels of a network for colour pictures are called.
COLOURS = ("red", "green", "blue")
NOTE = "the picture is grey; the network was shown it as red, green and blue alike"


def in_colour(scan: Scan, card: InputCard) -> tuple[Scan, tuple[str, ...]]:
    """Repeat the one channel of a grey picture where the network wants red, green and blue.

    That is what a grey picture saved in colour holds; microscopes save either. Anything else stays as it is.

    Parameters
    ----------
    scan : Scan
        As read.
    card : InputCard
        What the network wants.

    Returns
    -------
    tuple of Scan and tuple of str
        The scan, and what the user should know.
    """
    wanted = tuple(channel.name.casefold() for channel in card.channels)
    if scan.source.format != "picture" or scan.channels != 1 or wanted != COLOURS:
        return scan, ()
    return scan.with_array(np.broadcast_to(scan.array, (3, *scan.array.shape[1:])), scan.geometry), (NOTE,)
