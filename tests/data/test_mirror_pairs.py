import numpy as np
import pytest

from medseg.data.label_moments import label_moments
from medseg.data.mirror_pairs import MirrorPair, axes_with_sides, mirror_pairs

SHAPE = (40, 30, 20)
GRID = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), -1).astype(float)


def ellipsoid(center, radii):
    return (((GRID - center) / radii) ** 2).sum(-1) <= 1


def moments(parts, levels=(0.0, 0.0), seed=0, spacing=(1.0, 1.0, 1.0)):
    """One case in which each part is a class, the image brighter by `levels` inside."""
    labels = np.zeros(SHAPE, np.uint8)
    image = np.random.default_rng(seed).normal(0, 1, (1, *SHAPE))
    for value, (mask, level) in enumerate(zip(parts, levels, strict=True), start=1):
        labels[mask] = value
        image[0, mask] += level
    return label_moments(labels, image, spacing, {"a": (1,), "b": (2,)})


def test_moments_are_those_of_the_voxels():
    mask = ellipsoid((10, 12, 9), (4, 6, 3))
    (one,) = moments([mask], [5.0], spacing=(0.5, 2.0, 3.0)).values()
    places = np.argwhere(mask) * (0.5, 2.0, 3.0)
    assert one.voxels == mask.sum()
    assert one.center == pytest.approx(places.mean(0))
    assert one.covariance == pytest.approx(np.cov(places.T, bias=True))
    assert one.means == pytest.approx([5.0], abs=0.2)
    assert one.deviations == pytest.approx([1.0], abs=0.2)


def test_a_region_of_several_values_has_the_moments_of_all_of_them():
    labels = np.zeros(SHAPE, np.uint8)
    labels[ellipsoid((10, 12, 9), (4, 6, 3))] = 1
    labels[12:16, 5:9, 4:8] = 3
    image = np.zeros((1, *SHAPE))
    both = label_moments(labels, image, (1.0, 1.0, 1.0), {"whole": (1, 3)})["whole"]
    places = np.argwhere(labels > 0)
    assert both.center == pytest.approx(places.mean(0))
    assert both.covariance == pytest.approx(np.cov(places.T, bias=True))


@pytest.mark.parametrize(
    ("one", "other", "levels", "axes"),
    [
        (((10, 15, 10), (5, 5, 5)), ((30, 15, 10), (5, 5, 5)), (2, 2), [0]),
        # As unlike as two kidneys: a fifth smaller, and lower.
        (((10, 15, 10), (5, 4, 7)), ((30, 14, 8), (4.7, 4, 6.5)), (2, 2), [0]),
        # One a third of its height above the other, which is more than half of the way between them.
        (((10, 15, 7.5), (2, 3, 7)), ((18, 15, 12), (2, 3, 7)), (2, 2), [0]),
        (((20, 7, 10), (5, 5, 5)), ((20, 23, 10), (5, 5, 5)), (2, 2), [1]),
        # Told apart by the image, by size, by shape; beside each other along no one axis; one around the other.
        (((10, 15, 10), (5, 5, 5)), ((30, 15, 10), (5, 5, 5)), (6, 0), []),
        (((10, 15, 10), (5, 5, 5)), ((30, 15, 10), (3, 3, 3)), (2, 2), []),
        (((10, 15, 10), (9, 3, 3)), ((30, 15, 10), (3, 9, 3)), (2, 2), []),
        (((10, 8, 10), (4, 4, 4)), ((25, 22, 10), (4, 4, 4)), (2, 2), []),
        (((20, 15, 10), (8, 8, 8)), ((20, 15, 10), (4, 4, 4)), (2, 2), []),
    ],
)
def test_classes_that_mirror_each_other_in_place_are_found_without_names(one, other, levels, axes):
    cases = [moments([ellipsoid(*one), ellipsoid(*other)], levels, seed) for seed in range(5)]
    assert [(pair.axis, pair.cases, pair.n_labels) for pair in mirror_pairs(cases)] == [(axis, 5, 5) for axis in axes]


def test_slanted_shapes_are_mirror_images_only_where_they_slant_against_each_other():
    def slanted(x, sign):
        return (
            ellipsoid((x, 15, 10), (9, 2, 4))
            if sign == 0
            else (
                (np.abs(GRID[..., 0] - x - sign * (GRID[..., 1] - 15)) < 2)
                & (np.abs(GRID[..., 1] - 15) < 7)
                & (np.abs(GRID[..., 2] - 10) < 4)
            )
        )

    against = [moments([slanted(10, 1), slanted(30, -1)], (2, 2))]
    along = [moments([slanted(10, 1), slanted(30, 1)], (2, 2))]
    assert [pair.axis for pair in mirror_pairs(against)] == [0]
    assert mirror_pairs(along) == ()


def test_classes_on_either_side_of_each_other_are_no_sides():
    here, there = ellipsoid((10, 15, 10), (5, 5, 5)), ellipsoid((30, 15, 10), (5, 5, 5))
    assert mirror_pairs([moments([here, there]), moments([there, here])]) == ()
    assert len(mirror_pairs([moments([here, there])] * 9 + [moments([there, here])])) == 1


def test_unnamed_classes_that_no_label_holds_both_of_may_be_sides():
    one = {f"class-{k}": value for k, value in enumerate(moments([ellipsoid((10, 15, 10), (5,) * 3)], [1]).values(), 1)}
    two = {"class-2": one["class-1"]}
    (pair,) = mirror_pairs([one, two])
    assert pair.reason == "no label holds both 'class-1' and 'class-2', so they may be two sides"
    assert mirror_pairs([{"liver": one["class-1"]}, {"spleen": one["class-1"]}]) == ()


def test_axes_are_the_networks_own():
    pair = MirrorPair("a", "b", 1, 3, 3)
    assert axes_with_sides(["left", "right"], (), order=(0, 1, 2)).keys() == {"x"}
    assert axes_with_sides(["left", "right"], (), order=(1, 2, 0)).keys() == {"z"}
    assert axes_with_sides(["left", "right"], (), order=(0, 1, 2), orientation="SAR").keys() == {"z"}
    assert axes_with_sides(["left", "right"], (), order=(0, 1, 2), orientation="stored").keys() == {"x", "y", "z"}
    assert axes_with_sides(["a", "b"], [pair], order=(0, 2, 1)) == {"z": pair.reason}
    assert axes_with_sides(["a", "b"], (), order=(0, 1, 2)) == {}
