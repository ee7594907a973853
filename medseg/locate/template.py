"""The template that a whole head is registered with, from a model package."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from medseg.errors import ModelError
from medseg.io.read import load_scan
from medseg.locate.sampling import Image, foreground
from medseg.models.locate_card import BRAIN_FILE, LOCATE_FOLDER, TEMPLATE_FILE, LocateCard

NEAR = 3  # voxels around the brain that the second step of the registration looks at


@dataclass(frozen=True, eq=False)
class Template:
    """A head of known anatomy: its image, and the mask of its brain on the same grid."""

    image: Image
    brain: npt.NDArray[np.bool_]

    @cached_property
    def body(self) -> npt.NDArray[np.bool_]:
        """What is not air."""
        return foreground(self.image.array)[1]

    @cached_property
    def stripped(self) -> Image:
        """The image without what lies outside the brain, as skull-stripped scans are."""
        return Image(np.where(self.brain, self.image.array, 0).astype(np.float32), self.image.geometry)

    @cached_property
    def near(self) -> npt.NDArray[np.bool_]:
        """The brain and what lies around it."""
        grown: npt.NDArray[np.bool_] = ndimage.binary_dilation(self.brain, iterations=NEAR)
        return grown

    @cached_property
    def brain_center(self) -> npt.NDArray[np.float64]:
        """Center of the brain's mass, world mm."""
        center: npt.NDArray[np.float64] = self.image.geometry.to_world(np.argwhere(self.brain)).mean(axis=0)
        return center


def load_template(folder: Path, card: LocateCard) -> Template:
    """Read the template of a package's folder after checking its hashes; raises `ModelError` where it was changed."""
    for name, sha256 in card.files.items():
        path = folder / LOCATE_FOLDER / name
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != sha256:
            raise ModelError(
                "the template of the locator is missing or not the one the card describes (SHA-256 differs)",
                where=path,
                fix="Copy the whole package folder again; do not edit or mix packages.",
            )
    image, brain = (load_scan(folder / LOCATE_FOLDER / name) for name in (TEMPLATE_FILE, BRAIN_FILE))
    image.geometry.match(brain.geometry, what="the template and its brain", where=folder)
    scaled, _ = foreground(image.array[0].astype(np.float32))
    return Template(Image(scaled, image.geometry), brain.array[0] > 0)
