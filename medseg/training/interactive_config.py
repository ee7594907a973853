"""How a network that takes clicks is trained."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from medseg.config.strict import Strict
from medseg.models.interactive_card import InteractiveCard

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]


class InteractiveConfig(Strict):
    """Corrections simulated in training, as nnInteractive does (Isensee et al. 2025, arXiv:2503.08373)."""

    radius: Annotated[float, Field(gt=0, le=32)] = Field(
        default=3.0, description="radius of a click in voxels of the network's grid"
    )
    decay: Annotated[float, Field(gt=0, le=1)] = Field(
        default=0.9, description="what each newer interaction multiplies the older ones by"
    )
    corrections: Annotated[int, Field(ge=1, le=20)] = Field(
        default=3,
        description="largest number of corrections simulated before a step; each but the first costs a forward pass",
    )
    scribbles: Fraction = Field(default=0.25, description="fraction of corrections that are scribbles, not clicks")
    from_nothing: Fraction = Field(
        default=0.3, description="fraction of patches in which nothing is drawn of the class yet"
    )
    objects: bool = Field(
        default=False,
        description="one object is in hand, not all of its class: what hangs together, or of numbered references what "
        "does in their mask; for classes that consist of objects, such as nuclei",
    )
    error_voxels: Annotated[float, Field(gt=0, le=32)] = Field(
        default=3.0, description="how far simulated errors of the mask move its boundary, voxels"
    )

    def to_card(self) -> InteractiveCard:
        """Return what the model card says of it."""
        return InteractiveCard(radius=self.radius, decay=self.decay, objects=self.objects)
