"""How a model made for a small region finds it in a larger scan: by registration of a template, on the model card."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from medseg.config.bounds import VoxelSpacing
from medseg.config.strict import StrictFinite
from medseg.prepare.card import LARGEST_PATCH


def _rising(limits: tuple[float, float]) -> tuple[float, float]:
    if limits[0] > limits[1]:
        raise ValueError("the first number of a range must not be larger than the second")
    return limits


Range = Annotated[tuple[float, float], AfterValidator(_rising)]
Length = Annotated[float, Field(gt=0, le=10_000)]
Place = tuple[float, float, float]
Tissues = tuple[float, float, float]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

LOCATE_FOLDER = "locate"
TEMPLATE_FILE, BRAIN_FILE = "template.nii.gz", "brain.nii.gz"


class RegionCard(StrictFinite):
    """One place of the template around which a crop is given to the network."""

    name: str = Field(description="what goes before the names of the classes found there, such as `left`")
    center_mm: Place = Field(description="middle of the crop in the template's world, RAS+ mm")
    offset_mm: Place = Field(
        default=(0.0, 0.0, 0.0),
        description="middle of the training data's crops from the middle of what is segmented in them, mm along the "
        "crop's axes",
    )


class PlacementCheckCard(StrictFinite):
    """What the registration of a suitable scan comes to; any other scan is withheld before the network runs."""

    correlation: float = Field(
        default=0.27,
        description="least correlation with the template inside the brain, of voxels by the mean of their neighborhood",
    )
    gray: Range = Field(
        default=(0.3, 0.82), description="where gray matter's brightness lies between CSF's (0) and white matter's (1)"
    )
    white: Range = Field(
        default=(0.28, 1.55), description="by how much white matter is brighter than gray, in standard deviations"
    )
    spread_mm: float = Field(
        default=5.0,
        description="largest distance between the place found from the best start and the second nearest of the others",
    )
    inside: float = Field(default=0.95, description="least fraction of the template's brain inside the scan")
    scale: Range = Field(default=(0.7, 1.3), description="smallest and largest scaling along any axis")


class RegionCheckCard(StrictFinite):
    """What the regions of a suitable scan look like; a result that does not is withheld."""

    agreement: float = Field(
        default=0.78,
        description="least Dice of the mean labels of four moved crops in the brightness of the training data and of "
        "four others as they are",
    )
    least_agreement: float = Field(default=0.55, description="least Dice of the labels of two of the moved crops")
    component_fraction: float = Field(default=0.9, description="least fraction of the labels in one component")
    fluid: float = Field(default=0.25, description="largest fraction of the labels in voxels as dark as fluid")
    moved_mm: float = Field(default=4.0, description="furthest that the settled crop would have to be moved again")
    volume_ml: Range = Field(description="smallest and largest volume of one region, all its classes together")
    ratio: float = Field(description="largest volume of one region by that of the other")
    distance_mm: Range = Field(description="smallest and largest distance between the two regions")
    asymmetry_mm: float = Field(description="furthest from being each other's mirror image in the template")
    first_class: Range = Field(
        description="smallest and largest fraction of the first class in a region; beyond it a warning is given"
    )


class LocateCard(StrictFinite):
    """How the network's regions are found in a larger scan, and when they were not."""

    by: Literal["template"] = Field(
        default="template", description="template: affine registration of a whole head, with its brain's mask"
    )
    what: str = Field(description="larger scan in which the regions are found, to complete `This is no ...`")
    files: dict[str, Sha256] = Field(description="files in the package's folder `locate`, and their SHA-256")
    source: str = Field(description="where the template comes from, and its license")
    regions: tuple[RegionCard, ...] = Field(description="where crops are made, in the order of the values of labels")
    extent_mm: tuple[Length, Length, Length] = Field(description="size of a crop along its axes, mm")
    spacing_mm: VoxelSpacing = Field(default=1.0, description="spacing of a crop, mm")
    pitch_degrees: Annotated[float, Field(ge=-90, le=90)] = Field(
        default=0.0, description="how far a crop's axes are turned from the template's, front downwards"
    )
    tissues: Tissues | None = Field(
        default=None,
        description="brightness of CSF, gray and white matter in the training data's crops, in standard deviations "
        "from a crop's mean: to these a scan's are brought; null: that is not tried",
    )
    quantiles: tuple[float, ...] = Field(
        default=(),
        description="mean quantiles of the training data's crops, in the same unit, at equal steps from 0 to 1: to "
        "these a crop's are brought where labels by `tissues` change with the brightness; none: that is not tried",
    )
    parts_up_to_mm: Length = Field(
        description="largest spacing at which the classes of a region are distinguished; above, they are given as one"
    )
    whole: str = Field(description="name of the one class of a region whose classes are not distinguished")
    from_mm: Length = Field(
        description="least field of view, mm along every axis, of a scan in which regions are found; a smaller one is "
        "taken for a crop"
    )
    up_to_mm: Length = Field(description="largest spacing of a scan in which regions are found")
    placement: PlacementCheckCard = Field(default=PlacementCheckCard(), description="checks of the registration")
    region_checks: RegionCheckCard = Field(description="checks of what was found")

    @model_validator(mode="after")
    def _possible(self) -> LocateCard:
        if set(self.files) != {TEMPLATE_FILE, BRAIN_FILE}:
            raise ValueError(f"files must be {TEMPLATE_FILE} and {BRAIN_FILE}")
        if not 1 <= len(self.regions) <= 2 or len({region.name for region in self.regions}) < len(self.regions):
            raise ValueError("there must be one or two regions, each with a name of its own")
        if self.tissues is not None and not self.tissues[0] < self.tissues[1] < self.tissues[2]:
            raise ValueError("tissues must rise: CSF, gray matter, white matter")
        if len(self.quantiles) == 1 or list(self.quantiles) != sorted(self.quantiles):
            raise ValueError("quantiles must be two or more and must not fall")
        if max(self.extent_mm) / self.spacing_mm > LARGEST_PATCH:
            raise ValueError(
                f"a crop must be of {LARGEST_PATCH} or less voxels along each axis: extent_mm by spacing_mm"
            )
        return self
