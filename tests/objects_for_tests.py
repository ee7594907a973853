"""Label maps with known truths, made for the tests of medseg.post."""

from itertools import permutations, product

import numpy as np

from medseg.types import Geometry, Instances, LabelClass, LabelMap, LabelTable
from medseg.types.instances import InstanceRow

TABLE = LabelTable(
    (LabelClass(1, "lesion", is_thing=True), LabelClass(2, "cell", is_thing=True), LabelClass(5, "organ"))
)

CELL = LabelTable((LabelClass(1, "cell", is_thing=True),))


def label_map(array, affine=None, table=TABLE):
    array = np.asarray(array, np.uint8)
    return LabelMap(array, Geometry(np.eye(4) if affine is None else affine, array.shape), table)


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
    for axes in permutations(range(3)):
        for flips in product((False, True), repeat=3):
            steps = tuple(slice(None, None, -1 if flip else 1) for flip in flips)
            array = labels.array.transpose(axes)[steps]
            affine = labels.geometry.affine.copy()
            affine[:, :3] = affine[:, list(axes)]
            for axis, flip in enumerate(flips):
                if flip:
                    affine[:, 3] += affine[:, axis] * (array.shape[axis] - 1)
                    affine[:, axis] *= -1
            turned = LabelMap(np.ascontiguousarray(array), Geometry(affine, array.shape), labels.table)
            yield turned, lambda ids, steps=steps, axes=axes: ids[steps].transpose(np.argsort(axes))


def oblique_affine(spacing=(0.7, 0.9, 2.5), origin=(-80.0, 35.0, 12.0)):
    """Axes turned by three angles."""
    a, b, c = 0.3, -0.2, 0.5
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = x @ y @ z @ np.diag(spacing)
    affine[:3, 3] = origin
    return affine


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
