"""A head with two bright ellipsoids where the hippocampus model looks for hippocampi, and a network that sees them."""

import numpy as np

from medseg.locate.registration import Placement
from medseg.locate.sampling import Image
from medseg.locate.tissues import Tissues
from medseg.models.package import load_package
from medseg.types import Geometry, LabelMap, Prediction

PACKAGE = load_package("hippocampus")
LOCATE = PACKAGE.card.locate
PLACEMENT = Placement(np.eye(4), 0.7, 0.6, 1.0, Tissues(0.0, 0.5, 1.0), 0.5, 1.0, (1.0, 0.95, 0.9))


def head(spacing=1.0, off=(0.0, 0.0, 0.0)):
    """Two bright ellipsoids of about 3 ml, so far from where the template says."""
    shape = tuple(round(mm / spacing) for mm in (120, 110, 90))
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = [-60, -75, -55]
    grid = Geometry(affine, shape)
    world = grid.to_world(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1))
    inside = [
        (((world - np.array(region.center_mm) - off) / [7, 15, 7]) ** 2).sum(axis=-1) for region in LOCATE.regions
    ]
    return Image(np.clip(2 - np.minimum(*inside), 0, 1).astype(np.float32), grid)


def answer(scan, bright):
    """Bright voxels, the front half of them as the first class."""
    labels = np.where(bright, 2, 0).astype(np.uint8)
    labels[:, labels.shape[1] // 2 :][bright[:, labels.shape[1] // 2 :]] = 1
    return Prediction(LabelMap(labels, scan.geometry, PACKAGE.card.table), PACKAGE.identity)


def sees(scan):
    return answer(scan, scan.array[0] > 0.5)
