"""Says of a reference that is no label map what it is instead."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from medseg.data.label_texture import is_no_label_map, scattered_values

JPEG = (".jpg", ".jpeg")
# Where no class is named and values are those of gray levels, so many scattered ones are no classes: an outline that
# was antialiased by half a pixel has three.
GRAY, FEW = 16, 3


def why_no_label_map(
    labels: npt.NDArray[np.integer], path: Path | None, *, is_image: bool = False, named: bool = True
) -> str | None:
    """Why a reference's values cannot be classes, as a sentence; None where they can.

    - `path`: of the reference, whose ending says how it was compressed.
    - `is_image`: whether it holds the image's own values.
    - `named`: whether a person or a description named the classes.
    """
    scattered, values = scattered_values(labels)
    if is_image and values > 1:
        return "The label holds the image's own values."
    if path is not None and path.suffix.lower() in JPEG and values > 1 and (scattered or not named):
        return f"The label is a JPEG, whose compression spreads values around outlines: it holds {values} beside 0."
    gray = not named and int(labels.max()) >= GRAY and scattered >= FEW and 2 * scattered >= values
    if is_no_label_map(scattered, values) or gray:
        return (
            f"{scattered} of the label's {values} values are scattered between others and fill no area of their own, "
            "as in a JPEG, an antialiased or a graded mask, or an image."
        )
    return None
