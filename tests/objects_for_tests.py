"""Scans and label maps with known truths."""

from itertools import permutations, product

import numpy as np
from scipy.spatial.transform import Rotation

from medseg.prepare.card import ChannelCard, InputCard
from medseg.types import Geometry, Instances, LabelClass, LabelMap, LabelTable, ModelIdentity, Prediction, Scan
from medseg.types.axis_order import AxisOrder
from medseg.types.instances import InstanceRow

TABLE = LabelTable(
    (LabelClass(1, "lesion", is_thing=True), LabelClass(2, "cell", is_thing=True), LabelClass(5, "organ"))
)

ORDERS = [AxisOrder(p, f) for p in permutations(range(3)) for f in product((False, True), repeat=3)]
CELL = LabelTable((LabelClass(1, "cell", is_thing=True),))


def label_map(array, affine=None, table=TABLE):
    array = np.asarray(array, np.uint8)
    return LabelMap(array, Geometry(np.eye(4) if affine is None else affine, array.shape), table)


def prediction(labels, *arguments, **options):
    """Of a model that is none."""
    return Prediction(labels, ModelIdentity("m", "1", "0" * 64), *arguments, **options)


def ball(shape, center, radius, spacing=(1, 1, 1)):
    """Mask of the voxels whose center lies within `radius` mm of `center`, in voxels."""
    grid = np.ogrid[tuple(slice(n) for n in shape)]
    return sum(((g - c) * s) ** 2 for g, c, s in zip(grid, center, spacing, strict=True)) <= radius**2


def random_blobs(shape, seed, classes=(1, 2, 5), density=0.45):
    """Blobs of several classes, many of which touch."""
    from scipy.ndimage import uniform_filter

    rng = np.random.default_rng(seed)
    field = uniform_filter(rng.random(shape), 2)
    array = np.zeros(shape, np.uint8)
    for place, value in enumerate(classes):
        array[uniform_filter(rng.random(shape), 2) > np.quantile(field, 1 - density / (place + 1.5))] = value
    return array


def orientations(labels):
    """The same label map stored in all 48 orientations, and how to bring an array back to the first."""
    for order in ORDERS:
        array = np.ascontiguousarray(order.apply(labels.array))
        yield LabelMap(array, order.geometry(labels.geometry), labels.table), order.undo


def same_in_all_orientations(labels, method):
    """Check that the ids a method finds move with the voxels; return what it finds in the first."""
    first = method(labels)
    for turned, back in orientations(labels):
        assert np.array_equal(back(method(turned).ids), first.ids)
    return first


def oblique_affine(spacing=(0.7, 0.9, 2.5), origin=(-80.0, 35.0, 12.0), angles=(0.3, -0.2, 0.5)):
    """Axes turned by three angles, in radians."""
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("XYZ", angles).as_matrix() * spacing
    affine[:3, 3] = origin
    return affine


def scan_of(array, spacing=(1, 1, 1), **more):
    """A scan of one channel, or of the first axis's channels."""
    array = np.asarray(array)
    array = array[None] if array.ndim == 3 else array
    return Scan(array, Geometry(np.diag([*spacing, 1.0]), array.shape[1:]), **more)


def stored(scan, order):
    """The same scan, stored with other axes."""
    return Scan(order.apply(scan.array), order.geometry(scan.geometry))


def input_card(**changes):
    """Of a small network for one channel of MR."""
    return InputCard(**{"channels": (ChannelCard(name="MR"),), "patch": (8, 8, 8), **changes})


def instances(ids, table=CELL, affine=None):
    """Objects of the first class, one of each number."""
    ids = np.asarray(ids, np.int32)
    values, counts = np.unique(ids[ids > 0], return_counts=True)
    rows = tuple(InstanceRow(int(value), 1, True, int(count)) for value, count in zip(values, counts, strict=True))
    return Instances(ids, Geometry(np.eye(4) if affine is None else affine, ids.shape), rows, table)


def packed_cells(shape=(40, 42, 20), affine=None, classes=(1,), seed=0, count=25):
    """Cells that touch: the voxels nearest to each of some points, within a radius."""
    rng = np.random.default_rng(seed)
    centers = rng.uniform(0, 1, (count, 3)) * shape
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in shape], indexing="ij"), axis=-1)
    distance = np.linalg.norm(grid[..., None, :] - centers, axis=-1)
    ids = np.where(distance.min(axis=-1) < 7, distance.argmin(axis=-1) + 1, 0).astype(np.int32)
    rows = tuple(
        InstanceRow(int(i), classes[int(i) % len(classes)], True, int((ids == i).sum()))
        for i in np.unique(ids[ids > 0])
    )
    table = LabelTable(tuple(LabelClass(value, f"kind {value}", is_thing=True) for value in sorted(classes)))
    return Instances(ids, Geometry(np.eye(4) if affine is None else affine, shape), rows, table)


def same_partition(one, other):
    """Whether two id maps draw the same objects, whatever their numbers."""
    pairs = np.unique(np.stack([one.ravel(), other.ravel()]), axis=1)
    return (
        len(np.unique(pairs[0])) == len(np.unique(pairs[1])) == pairs.shape[1]
        and not ((pairs[0] == 0) ^ (pairs[1] == 0)).any()
    )


def panoptic_quality(reference, found, threshold=0.5):
    """PQ of two id maps by the definition of Kirillov et al. 2019; a pair matches where IoU is above a half."""
    n, m = int(reference.max()) + 1, int(found.max()) + 1
    joint = np.bincount(reference.ravel().astype(np.int64) * m + found.ravel(), minlength=n * m).reshape(n, m)
    sizes, found_sizes = joint.sum(1), joint.sum(0)
    shared = joint[1:, 1:]
    iou = shared / np.maximum(sizes[1:, None] + found_sizes[None, 1:] - shared, 1)
    matched = iou[iou > threshold]
    objects, predicted = (sizes[1:] > 0).sum(), (found_sizes[1:] > 0).sum()
    return matched.sum() / ((objects + predicted) / 2)
