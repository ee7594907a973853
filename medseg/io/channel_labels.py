"""Labels that may overlap as files hold them in channels: the mask of one class in each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy.typing as npt

from medseg.errors import InputError
from medseg.types.geometry import Geometry
from medseg.types.labels import LabelMap, LabelTable
from medseg.types.overlapping import AnyLabels, Layers


def labels_of_channels(
    channels: Iterable[npt.NDArray[Any]], geometry: Geometry, where: object, *, may_have_background: bool = True
) -> AnyLabels:
    """Bring masks together: channel n, from 1, is the class of value n.

    - `channels`, shape (X, Y, Z) each: 0, and one other value inside the class.
    - `may_have_background`: whether a first channel that is set exactly where no other is may be the background, as in
      one-hot files; the result then is a label map in which channel n, from 0, is value n.
    """
    layers, count = Layers(geometry.shape), 0
    for count, channel in enumerate(channels, start=1):
        inside = channel != 0
        if inside.any() and (channel[inside] != channel[inside][0]).any():
            raise InputError(
                f"channel {count} holds several values besides 0, and each channel of labels is the mask of one class",
                where=where,
                fix="Give a 3D label map, or one channel a class.",
            )
        layers.add(count, inside)
    labels = layers.labels(geometry, LabelTable.unnamed(range(1, count + 1)))
    if may_have_background and count > 1 and not labels.overlap:
        whole = labels.folded()
        if whole.array.all():
            return LabelMap(whole.array - whole.array.dtype.type(1), geometry, LabelTable.unnamed(range(1, count)))
    return labels
