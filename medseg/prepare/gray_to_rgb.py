"""Shows a gray 2D image to a network that was trained on colors."""

from __future__ import annotations

import numpy as np

from medseg.prepare.card import InputCard
from medseg.types import Scan

# What channels of a network for color images are called.
COLORS = ("red", "green", "blue")
NOTE = "The image is gray; the network was shown it as red, green and blue alike."


def in_color(scan: Scan, card: InputCard) -> tuple[Scan, tuple[str, ...]]:
    """Repeat the one channel of a gray image where the network wants red, green and blue.

    That is what a gray image saved in color holds; microscopes save either. Anything else stays as it is.
    """
    wanted = tuple(channel.name.casefold() for channel in card.channels)
    if scan.source.format != "image2d" or scan.channels != 1 or wanted != COLORS:
        return scan, ()
    return scan.with_array(np.broadcast_to(scan.array, (3, *scan.array.shape[1:])), scan.geometry), (NOTE,)
