import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from tiny_dataset import write_prepared

from medseg.training.config import SamplingConfig
from medseg.training.distributed import ALONE, Processes
from medseg.training.samples.patches import Patches, extract
from medseg.training.samples.prepared import IGNORED


@pytest.fixture
def cases(tmp_path):
    made = []
    for number, shape in enumerate([(12, 9, 7), (20, 30, 6), (8, 8, 8)]):
        labels = np.zeros(shape, np.uint8)
        labels[2, 3, 4] = 1
        # The value of a voxel encodes its case and its place.
        image = (1 + 10_000 * number + np.arange(labels.size, dtype=np.float32).reshape(shape))[None]
        made.append(write_prepared(tmp_path / f"case{number}", image, labels))
    return made


def case_of_one_voxel(folder, place):
    labels = np.zeros((30, 25, 20), np.uint8)
    labels[place] = 1
    return write_prepared(folder, labels[None].astype(np.float32), labels)


def draw(cases, *, patch=(8, 8, 8), seed=4, processes=ALONE, larger=2, **changes):
    sampling = SamplingConfig(**{"foreground": 0.5, "batch": 2, **changes})

    def region_of(_number):
        return tuple(n + larger if n > 1 else n for n in patch)

    return Patches(cases, patch, sampling, seed=seed, processes=processes).with_regions(region_of)


def test_a_sample_is_a_function_of_seed_and_number(cases):
    first, second = draw(cases), draw(cases)
    for i in (7, 0, 3):
        image, labels = first.sample(i)
        again_image, again_labels = second.sample(i)
        assert np.array_equal(image, again_image)
        assert np.array_equal(labels, again_labels)
    assert not np.array_equal(first.sample(3)[0], draw(cases, seed=5).sample(3)[0])


def test_kinds_by_polarity_take_turns_and_every_case_of_a_kind_comes_once(tmp_path):
    """One case of four is dark on bright, and every second patch is of it."""
    made = []
    for number, contrast in enumerate([1, 1, -1, 1]):
        labels = np.zeros((8, 8, 8), np.uint8)
        labels[2:4, 2:4, 2:4] = 1
        labels[6] = IGNORED
        image = contrast * (labels == 1).astype(np.float32) - 5 * contrast * (labels == IGNORED) + 100 * number
        made.append(write_prepared(tmp_path / f"case{number}", image[None].astype(np.float32), labels))
    patches = draw(made, larger=0, balance_polarity=True)
    drawn = [int(np.median(patches.sample(i)[0])) // 100 for i in range(12)]
    assert drawn[1::2] == [2] * 6
    assert sorted(drawn[0:6:2]) == sorted(drawn[6::2]) == [0, 1, 3]
    of_one_kind = draw(made[:2], larger=0, balance_polarity=True)
    plain = draw(made[:2], larger=0)
    assert all(np.array_equal(of_one_kind.sample(i)[0], plain.sample(i)[0]) for i in range(4))


def test_reading_ahead_gives_the_same_batches(cases):
    patches = draw(cases)
    ahead = list(patches.batches(3, 9))
    assert len(ahead) == 6
    for number, batch in zip(range(3, 9), ahead, strict=True):
        assert batch.first == 2 * number
        assert batch.images.equal(patches.batch(number).images)
        assert batch.labels.equal(patches.batch(number).labels)


def test_processes_share_the_samples_of_one(cases):
    """Two processes of batch 2 see what one of batch 4 does, each sample once."""
    whole = draw(cases, batch=4)
    shares = [draw(cases, batch=2, processes=Processes(rank, 2)) for rank in (0, 1)]
    for number in range(3):
        parts = [share.batch(number) for share in shares]
        assert [part.first for part in parts] == [4 * number, 4 * number + 2]
        assert torch.cat([part.images for part in parts]).equal(whole.batch(number).images)
        assert torch.cat([part.labels for part in parts]).equal(whole.batch(number).labels)


def test_every_case_comes_once_before_any_comes_again(cases):
    patches = draw(cases)
    which = [int(patches.sample(i)[0].max()) // 10_000 for i in range(30)]
    for first in range(0, 30, 3):
        assert sorted(which[first : first + 3]) == [0, 1, 2]


def test_forced_foreground_holds_the_class_in_its_patch(cases):
    patches = draw(cases, foreground=1.0)
    for i in range(12):
        _, labels = patches.sample(i)
        inner = labels[1:-1, 1:-1, 1:-1]
        assert labels.shape == (10, 10, 10)
        assert (inner == 1).sum() == 1


@pytest.mark.parametrize(("patch", "inner"), [((7, 9, 1), (3, 4, 0)), ((8, 6, 4), (4, 3, 2))])
def test_a_foreground_patch_is_centered_on_its_voxel(tmp_path, patch, inner):
    """Of an odd patch the middle; of an even one the later of the two middles, as nnU-Net has it."""
    case = case_of_one_voxel(tmp_path, (15, 12, 9))
    for larger in (0, 4):
        image, found = draw([case], patch=patch, larger=larger, foreground=1.0).sample(0)
        around = [(size - length) // 2 for size, length in zip(found.shape, patch, strict=True)]
        expected = tuple(more + middle for more, middle in zip(around, inner, strict=True))
        assert np.argwhere(found).tolist() == [list(expected)]
        assert np.argwhere(image[0]).tolist() == [list(expected)]


@pytest.mark.parametrize(("place", "inner"), [((1, 0, 2), (1, 0, 2)), ((29, 24, 18), (7, 7, 6))])
def test_a_foreground_patch_at_the_edge_stays_inside(tmp_path, place, inner):
    _, found = draw([case_of_one_voxel(tmp_path, place)], larger=0, foreground=1.0).sample(0)
    assert np.argwhere(found).tolist() == [list(inner)]


@pytest.mark.parametrize("patch", [(8, 8, 8), (24, 20, 16), (29, 24, 1)])
def test_every_place_inside_the_scan_is_as_likely_as_any_where_no_class_is_forced(tmp_path, patch):
    """Chi-squared of the starts along each axis; a center that is moved inside would start most patches at an edge."""
    case = case_of_one_voxel(tmp_path, (15, 12, 9))
    shape = (30, 25, 20)
    whole = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    np.save(case.folder / "image.npy", whole[None])
    patches = draw([case], patch=patch, larger=0, foreground=0.0)
    first = [int(patches.sample(i)[0][0, 0, 0, 0]) for i in range(2000)]
    for starts, length, size in zip(np.unravel_index(first, shape), patch, shape, strict=True):
        found = np.bincount(starts, minlength=size - length + 1)
        assert len(found) == size - length + 1
        assert chisquare(found).pvalue > 0.001


def test_a_patch_larger_than_the_scan_has_it_in_its_middle(tmp_path):
    case = case_of_one_voxel(tmp_path, (15, 12, 9))
    for foreground in (0.0, 1.0):
        _, found = draw([case], patch=(33, 25, 24), larger=0, foreground=foreground).sample(0)
        assert np.argwhere(found).tolist() == [[15 + 1, 12, 9 + 2]]


def test_an_error_in_the_reading_thread_reaches_the_caller(cases):
    (cases[0].folder / "image.npy").unlink()
    with pytest.raises(FileNotFoundError):
        list(draw(cases).batches(0, 3))


def test_regions_of_a_batch_are_as_large_as_the_largest(cases):
    sizes = {0: (8, 8, 8), 1: (10, 8, 14), 2: (12, 8, 8), 3: (8, 8, 8)}
    patches = Patches(cases, (8, 8, 8), SamplingConfig(batch=2), seed=4).with_regions(sizes.__getitem__)
    plain = Patches(cases, (8, 8, 8), SamplingConfig(batch=2), seed=4)
    for number, size in enumerate([(10, 8, 14), (12, 8, 8)]):
        batch = patches.batch(number)
        assert batch.labels.shape == (2, *size)
        inner = tuple(slice((n - 8) // 2, (n - 8) // 2 + 8) for n in size)
        assert batch.images[(..., *inner)].equal(plain.batch(number).images)
        assert batch.labels[(..., *inner)].equal(plain.batch(number).labels)


@given(*(st.tuples(*[st.integers(first, last)] * 3) for first, last in ((-9, 9), (1, 9), (1, 6))))
def test_extract_equals_padding_then_cutting(corner, size, shape):
    array = np.arange(2 * np.prod(shape), dtype=np.float32).reshape(2, *shape)
    padded = np.pad(array, [(0, 0), *[(20, 20)] * 3], constant_values=-7)
    where = tuple(slice(c + 20, c + 20 + s) for c, s in zip(corner, size, strict=True))
    assert np.array_equal(extract(array, corner, size, -7), padded[(slice(None), *where)])
