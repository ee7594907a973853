import pytest
import torch

from medseg.training.augment_config import AugmentConfig
from medseg.training.samples.augment import Augmentation
from medseg.training.samples.spatial import PatchGrid, Spatial, apply_spatial, region_of

REGION, PATCH = (30, 26, 22), (20, 18, 16)
ISOTROPIC = (1.0, 1.0, 1.0)
# Ranges and the like, which do nothing by themselves, and switches.
SIZES = ("range", "degrees", "variance", "sigma", "zoom", "share", "mm", "spacing", "scale", "shift")
SWITCHES = ("flip", "soft_labels")
NOTHING = {n: 0.0 for n in AugmentConfig.model_fields if n not in SWITCHES and not n.endswith(SIZES)}


def augmentation(patch=PATCH, spacing=ISOTROPIC, seed=0, **chosen):
    """With nothing but what is chosen."""
    return Augmentation(AugmentConfig(**{**NOTHING, **chosen}), patch=patch, spacing=spacing, classes=2, seed=seed)


def random_batch(shape, classes=2):
    """Images (N, C, X, Y, Z) and labels, the same each time."""
    draw = torch.Generator().manual_seed(0)
    return torch.randn(*shape, generator=draw), torch.randint(0, classes, (shape[0], *shape[2:]), generator=draw)


def ball(center, radius=3.0, spacing=ISOTROPIC):
    """Labels of a ball whose center is given in mm from the middle of the region."""
    axes = [(torch.arange(n) - (n - 1) / 2) * s for n, s in zip(REGION, spacing, strict=True)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    return (((grid - torch.tensor(center)) ** 2).sum(-1) <= radius**2).long()


def center_of(labels, spacing=ISOTROPIC):
    """Center of mass in mm from the middle."""
    places = labels.nonzero().double()
    middle = (torch.tensor(labels.shape).double() - 1) / 2
    return ((places.mean(0) - middle) * torch.tensor(spacing).double()).tolist()


@pytest.mark.parametrize("spacing", [ISOTROPIC, (1.0, 1.0, 2.0), (2.0, 1.0, 1.0)])
@pytest.mark.parametrize(
    ("angles", "start", "end"),
    [
        ((0.0, 0.0, 90.0), (5.0, 0.0, 0.0), (0.0, -5.0, 0.0)),
        ((0.0, 0.0, 90.0), (0.0, 5.0, 0.0), (5.0, 0.0, 0.0)),
        ((90.0, 0.0, 0.0), (0.0, 5.0, 0.0), (0.0, 0.0, -5.0)),
        ((0.0, 90.0, 0.0), (5.0, 0.0, 0.0), (0.0, 0.0, 5.0)),
        ((0.0, 0.0, 180.0), (5.0, 0.0, 0.0), (-5.0, 0.0, 0.0)),
    ],
)
def test_rotation_turns_the_patient_in_mm(angles, start, end, spacing):
    labels = ball(start, spacing=spacing)
    images = labels[None, None].float()
    _, turned = apply_spatial(images, labels[None], [Spatial(angles=angles)], PatchGrid(PATCH, 2, spacing))
    assert center_of(turned[0], spacing) == pytest.approx(end, abs=0.35)


def test_zoom_makes_objects_larger():
    labels = ball((0.0, 0.0, 0.0), radius=4.0)
    images, grid = labels[None, None].float(), PatchGrid(PATCH, 2, ISOTROPIC)
    _, larger = apply_spatial(images, labels[None], [Spatial(zoom=1.3)], grid)
    assert int(larger.sum()) / int(labels.sum()) == pytest.approx(1.3**3, rel=0.06)


def test_image_and_labels_move_together():
    labels = ball((2.0, -3.0, 1.0), radius=4.0)
    images = labels[None, None].float()
    moved = [Spatial((20.0, -35.0, 50.0), 1.2, (1.5, -2.0, 0.5), (True, False, True))]
    image, label = apply_spatial(images, labels[None], moved, PatchGrid(PATCH, 2, ISOTROPIC))
    assert ((image[0, 0] > 0.5).long() == label[0]).float().mean() > 0.999


def test_interpolating_nothing_changes_nothing():
    images, labels = random_batch((1, 2, *REGION), classes=3)
    cut = apply_spatial(images, labels, [Spatial()], PatchGrid(PATCH, 3, ISOTROPIC))
    sampled = apply_spatial(images, labels, [Spatial(zoom=1.0 + 1e-12)], PatchGrid(PATCH, 3, ISOTROPIC))
    assert torch.allclose(cut[0], sampled[0], atol=1e-5)
    assert cut[1].equal(sampled[1])


def test_flips_mirror_only_the_axes_allowed():
    images, labels = random_batch((40, 1, *PATCH))
    result, _ = augmentation(flip=("y",))(images, labels, 0)
    same = [bool(a.equal(b)) for a, b in zip(result, images, strict=True)]
    flipped = [bool(a.equal(b.flip(2))) for a, b in zip(result, images, strict=True)]
    assert all(a or b for a, b in zip(same, flipped, strict=True))
    assert 8 < sum(flipped) < 32


def test_ignored_voxels_survive_a_rotation():
    labels = ball((0.0, 0.0, 0.0), radius=4.0)[None]
    labels[labels == 1] = 255
    images, grid = labels[:, None].float(), PatchGrid(PATCH, 3, ISOTROPIC)
    _, turned = apply_spatial(images, labels, [Spatial((0.0, 0.0, 30.0))], grid)
    assert sorted(turned.unique().tolist()) == [0, 255]


@pytest.mark.parametrize(
    "moved", [Spatial((20.0, -35.0, 50.0), 1.2, (1.5, -2.0, 0.5), (True, False, True)), Spatial(flips=(True,) * 3)]
)
def test_the_largest_component_fraction_is_the_label(moved):
    images, labels = random_batch((1, 1, *REGION), classes=3)
    image, hard = apply_spatial(images, labels, [moved], PatchGrid(PATCH, 3, ISOTROPIC))
    same, shares = apply_spatial(images, labels, [moved], PatchGrid(PATCH, 3, ISOTROPIC, soft=True))
    assert same.equal(image)
    assert shares.sum(1).sub(1).abs().max() < 1e-5
    assert shares.argmax(1).equal(hard)


def test_shares_keep_the_volume_that_labels_lose():
    """A ball of radius 1.2 moved by half a voxel along each axis: its seven voxels are shared among more."""
    labels = ball((0.5, 0.5, 0.5), radius=1.2)[None]
    images = torch.zeros(1, 1, *REGION)
    moved = [Spatial(shift=(0.5, 0.5, 0.5))]
    _, shares = apply_spatial(images, labels, moved, PatchGrid(PATCH, 2, ISOTROPIC, soft=True))
    _, hard = apply_spatial(images, labels, moved, PatchGrid(PATCH, 2, ISOTROPIC))
    assert shares[0, 1].sum().item() == pytest.approx(7.0, rel=1e-4)
    assert int(hard.sum()) != 7


def test_ignored_voxels_have_no_share():
    labels = torch.zeros(1, *REGION, dtype=torch.long)
    labels[:, :, : REGION[1] // 2] = 255
    images = torch.zeros(1, 1, *REGION)
    for moved in (Spatial(), Spatial(shift=(0.0, 0.5, 0.0))):
        _, shares = apply_spatial(images, labels, [moved], PatchGrid(PATCH, 2, ISOTROPIC, soft=True))
        assert shares[0, 1].abs().max() == 0
        assert sorted({round(v, 3) for v in shares.unique().tolist()}) in ([0.0, 1.0], [0.0, 0.5, 1.0])
        assert 0 < shares[0, 0].mean() < 1


def test_what_happens_to_a_sample_is_a_function_of_seed_and_number():
    images, labels = random_batch((2, 1, *REGION))
    augment = augmentation(**dict.fromkeys(NOTHING, 1.0), flip=("x",), seed=1)
    both = augment(images, labels, 5)
    for k in (1, 0):
        alone = augment(images[k : k + 1], labels[k : k + 1], 5 + k)
        assert alone[0][0].allclose(both[0][k], atol=1e-5)
        assert alone[1][0].equal(both[1][k])
    assert not both[0].equal(augment(images, labels, 6)[0])
    assert torch.isfinite(both[0]).all()


@pytest.mark.parametrize("kind", ["noise", "blur", "brightness", "contrast", "low_resolution", "gamma",
                                  "gamma_inverted"])  # fmt: skip
def test_each_kind_of_intensity_changes_the_image_and_not_the_labels(kind):
    images, labels = random_batch((2, 2, *PATCH))
    result, same = augmentation(**{kind: 1.0})(images, labels, 0)
    assert same.equal(labels)
    assert torch.isfinite(result).all()
    assert not torch.allclose(result, images)
    if kind.startswith("gamma"):
        assert torch.allclose(result.mean((2, 3, 4)), images.mean((2, 3, 4)), atol=1e-4)
        assert torch.allclose(result.std((2, 3, 4)), images.std((2, 3, 4)), rtol=1e-3)
    if kind == "contrast":
        assert result.amax() <= images.amax() + 1e-6


def test_pictures_are_augmented_in_their_plane():
    augment = augmentation(**dict.fromkeys(NOTHING, 1.0), flip=("x", "y"), patch=(20, 18, 1), seed=1)
    result, classes = augment(*random_batch((4, 3, 30, 26, 1)), 0)
    assert result.shape == (4, 3, 20, 18, 1)
    assert classes.shape == (4, 20, 18, 1)
    assert result.std() > 0.1
    assert classes.any()


def test_thick_slices_are_turned_in_their_plane_only():
    augment = augmentation(rotation=1.0, spacing=(0.5, 0.5, 3.0))
    labels = ball((0.0, 0.0, 0.0))
    labels[..., :8] = 0
    labels[..., 14:] = 0
    images = labels[None, None].float().expand(4, 1, *REGION)
    _, turned = augment(images, labels[None].expand(4, *REGION), 0)
    before = labels[5:25, 4:22, 3:19].sum((0, 1)) > 0
    for patch in turned:
        assert (patch.sum((0, 1)) > 0).equal(before)


@pytest.mark.parametrize("spacing", [ISOTROPIC, (1.0, 2.0, 1.0)])
def test_elastic_control_points_of_one_displacement_shift_in_mm(spacing):
    """A displacement that is the same everywhere takes from 2 mm further along y: the ball moves back by 2 mm."""
    labels = ball((1.0, 2.0, -1.0), spacing=spacing)
    control = torch.zeros(3, 2, 3, 2)
    control[1] = 2.0
    moved = [Spatial(elastic=control)]
    image, turned = apply_spatial(labels[None, None].float(), labels[None], moved, PatchGrid(PATCH, 2, spacing))
    assert center_of(turned[0], spacing) == pytest.approx((1.0, 0.0, -1.0), abs=0.35)
    assert ((image[0, 0] > 0.5).long() == turned[0]).float().mean() > 0.999


def test_elastic_deformation_bends_no_further_than_it_may():
    augment = augmentation(elastic=1.0, elastic_mm=(3.0, 3.0))
    labels = ball((0.0, 0.0, 0.0), radius=5.0)[None]
    _, bent = augment(labels[:, None].float(), labels, 0)
    inner, outer = (ball((0.0, 0.0, 0.0), radius=r)[5:25, 4:22, 3:19] for r in (5 - 3 * 3**0.5 * 0.9, 5 + 3 * 3**0.5))
    assert not bent[0].equal(labels[0, 5:25, 4:22, 3:19])
    assert bool((bent[0] <= outer).all())
    assert bool((bent[0] >= inner).all())
    again = augment(labels[:, None].float(), labels, 0)[1]
    assert again.equal(bent)


def recolored(**chosen):
    draw = torch.Generator().manual_seed(1)
    images, labels = torch.randn(16, 3, *PATCH, generator=draw), torch.zeros(16, *PATCH, dtype=torch.long)
    return images, augmentation(**chosen)(images, labels, 0)[0]


def test_inverting_changes_every_sign():
    images, result = recolored(invert=1.0)
    assert result.equal(-images)


def test_inverting_happens_as_often_as_asked():
    images, result = recolored(invert=0.5)
    inverted = [bool(a.equal(-b)) for a, b in zip(result, images, strict=True)]
    kept = [bool(a.equal(b)) for a, b in zip(result, images, strict=True)]
    assert all(a or b for a, b in zip(inverted, kept, strict=True))
    assert 3 < sum(inverted) < 13


def test_grey_is_one_mix_of_all_channels():
    images, result = recolored(gray=1.0)
    assert result[:, 0].equal(result[:, 1])
    assert result[:, 0].equal(result[:, 2])
    for image, gray in zip(images, result[:, 0], strict=True):
        columns = image.flatten(1).T
        weights = torch.linalg.lstsq(columns, gray.flatten()[:, None]).solution[:, 0]
        assert weights.sum() == pytest.approx(1.0, abs=1e-4)
        assert weights.min() >= -1e-4


def test_color_scales_and_shifts_each_channel_by_itself():
    images, result = recolored(color=1.0, color_scale=(0.5, 2.0), color_shift=(-1.0, 1.0))
    scales = result.std((2, 3, 4)) / images.std((2, 3, 4))
    assert scales.min() >= 0.5 - 1e-4
    assert scales.max() <= 2.0 + 1e-4
    assert (scales.std(1) > 1e-3).all()
    middle = images.mean((2, 3, 4), keepdim=True)
    rest = result - result.mean((2, 3, 4), keepdim=True)
    assert torch.allclose(rest, (images - middle) * scales[:, :, None, None, None], atol=1e-4)


NO_INTENSITIES = dict.fromkeys(
    ("noise", "blur", "brightness", "contrast", "low_resolution", "gamma", "gamma_inverted"), 0.0
)
MUCH = {"rotation": 1.0, "scaling": 1.0, "translation": 1.0, "elastic": 1.0, "elastic_mm": (1.0, 4.0)}


@pytest.mark.parametrize(
    ("patch", "spacing"),
    [
        ((16, 14, 12), ISOTROPIC),
        ((15, 20, 6), (1.0, 1.0, 2.5)),
        ((20, 20, 6), (0.7, 0.7, 4.0)),
        ((24, 17, 1), ISOTROPIC),
    ],
)
def test_no_voxel_of_a_patch_comes_from_beyond_its_region(patch, spacing):
    """An image of ones, all of one class, stays that: no corner is filled with 0 and taught as background."""
    augment = augmentation(patch, spacing, **MUCH, **NO_INTENSITIES)
    sizes = [augment.region_of(number) for number in range(40)]
    assert any(size > n for region in sizes for size, n in zip(region, patch, strict=True))
    for number, region in enumerate(sizes):
        assert all(size >= n and (size - n) % 2 == 0 for size, n in zip(region, patch, strict=True))
        image, labels = augment(torch.ones(1, 1, *region), torch.ones(1, *region, dtype=torch.int64), number)
        assert float(image.min()) > 1 - 1e-4
        assert int(labels.min()) == 1


def test_regions_are_no_larger_than_they_must_be():
    turned = Spatial((0.0, 0.0, 45.0))
    region = region_of(turned, (16, 16, 8), ISOTROPIC)
    assert region == (24, 24, 8)
    grid = PatchGrid((16, 16, 8), 2, ISOTROPIC)
    for smaller in ((20, 24, 8), (24, 20, 8)):
        labels = torch.ones(1, *smaller, dtype=torch.int64)
        image, _ = apply_spatial(labels[:, None].float(), labels, [turned], grid)
        assert float(image.min()) < 0.9
    assert region_of(Spatial(flips=(True, True, True)), (16, 16, 8), ISOTROPIC) == (16, 16, 8)
    assert region_of(Spatial(zoom=1.5), (16, 16, 8), ISOTROPIC) == (16, 16, 8)
    assert region_of(Spatial(zoom=0.5), (16, 16, 1), ISOTROPIC) == (32, 32, 1)
    assert region_of(Spatial(shift=(0.0, 2.5, 0.0)), (16, 16, 8), ISOTROPIC) == (16, 22, 8)
