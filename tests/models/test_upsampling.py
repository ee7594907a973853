import itertools
from typing import get_args

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from medseg.models.upsampling import (
    Upsampling,
    UpsamplingName,
    bed_of_nails,
    nearest,
    pixel_shuffle,
    transposed_by_definition,
    transposed_size,
    unpool,
)


@pytest.mark.parametrize(
    ("enlarge", "expected"),
    [
        (nearest, [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]]),
        (bed_of_nails, [[1, 0, 2, 0], [0, 0, 0, 0], [3, 0, 4, 0], [0, 0, 0, 0]]),
    ],
)
def test_enlarged_as_written_on_a_board(enlarge, expected):
    assert enlarge(torch.tensor([[[[1, 2], [3, 4]]]]), (2, 2))[0, 0].tolist() == expected


def test_the_worked_example_of_transposed_convolution():
    image, kernel = torch.tensor([[0.0, 1.0], [2.0, 3.0]]), torch.tensor([[4.0, 1.0], [2.0, 3.0]])
    expected = [[0, 4, 1], [8, 16, 6], [4, 12, 9]]
    assert transposed_by_definition(image, kernel).tolist() == expected
    theirs = nn.functional.conv_transpose2d(image[None, None], kernel[None, None])
    assert theirs[0, 0].tolist() == expected


@settings(max_examples=60)
@given(
    sizes=st.tuples(st.integers(1, 5), st.integers(1, 5)),
    kernels=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_pytorch_does_what_the_definition_says(sizes, kernels, stride, seed):
    draw = torch.Generator().manual_seed(seed)
    image = torch.randn(sizes, dtype=torch.double, generator=draw)
    kernel = torch.randn(kernels, dtype=torch.double, generator=draw)
    # The definition itself, one output at a time.
    shape = [transposed_size(n, k, stride=stride) for n, k in zip(sizes, kernels, strict=True)]
    expected = torch.zeros(shape, dtype=torch.double)
    for x, y in itertools.product(*map(range, shape)):
        for i, j in itertools.product(*map(range, sizes)):
            a, b = x - i * stride, y - j * stride
            if 0 <= a < kernels[0] and 0 <= b < kernels[1]:
                expected[x, y] += image[i, j] * kernel[a, b]
    theirs = nn.functional.conv_transpose2d(image[None, None], kernel[None, None], stride=stride)[0, 0]
    torch.testing.assert_close(theirs, expected)
    torch.testing.assert_close(transposed_by_definition(image, kernel, stride), expected)


HOW = {
    "stride": st.integers(1, 5), "padding": st.integers(0, 4), "output_padding": st.integers(0, 4),
    "dilation": st.integers(1, 4),
}  # fmt: skip


@settings(max_examples=200)
@given(st.integers(1, 12), st.integers(1, 6), st.fixed_dictionaries(HOW))
def test_the_size_formula_is_pytorchs(size, kernel, how):
    assume(how["output_padding"] < max(how["stride"], how["dilation"]))
    expected = transposed_size(size, kernel, **how)
    assume(expected >= 1)
    assert nn.ConvTranspose1d(1, 1, kernel, **how)(torch.zeros(1, 1, size)).shape[2] == expected


@pytest.mark.parametrize("stride", [(2, 2), (1, 3), (2, 3, 4)])
def test_nearest_and_pixel_shuffle_equal_pytorchs(stride):
    x = torch.randn(2, 3, *range(3, 3 + len(stride)))
    factors = tuple(float(s) for s in stride)
    assert torch.equal(nearest(x, stride), nn.functional.interpolate(x, scale_factor=factors, mode="nearest"))
    square = torch.randn(2, 3 * 4, 3, 5)
    assert torch.equal(pixel_shuffle(square, (2, 2)), nn.functional.pixel_shuffle(square, 2))


def test_bed_of_nails_puts_values_at_the_first_corner_of_each_block():
    x = torch.randn(1, 2, 3, 4, 2)
    result = bed_of_nails(x, (2, 1, 3))
    assert result.shape == (1, 2, 6, 4, 6)
    assert torch.equal(result[:, :, ::2, :, ::3], x)
    assert result.count_nonzero() == x.count_nonzero()


@pytest.mark.parametrize("dimensions", [2, 3])
def test_unpool_equals_pytorchs(dimensions):
    x = torch.randn(2, 3, *(8, 6, 4)[:dimensions])
    pool, theirs = {2: (nn.MaxPool2d, nn.MaxUnpool2d), 3: (nn.MaxPool3d, nn.MaxUnpool3d)}[dimensions]
    pooled, switches = pool(2, return_indices=True)(x)
    result = unpool(pooled, switches, x.shape[2:])
    assert torch.equal(result, theirs(2)(pooled, switches))
    assert torch.equal(result[result != 0], x[result != 0])


@pytest.mark.parametrize("name", get_args(UpsamplingName))
@pytest.mark.parametrize("stride", [(2, 2), (1, 2), (1, 2, 2)])
def test_every_named_part_enlarges_by_its_stride(name, stride):
    dimensions = len(stride)
    x = torch.randn(2, 5, *(4, 3, 2)[:dimensions])
    size = tuple(n * s for n, s in zip(x.shape[2:], stride, strict=True))
    switches = None
    if name == "max_unpool":
        pool = {2: nn.MaxPool2d, 3: nn.MaxPool3d}[dimensions]
        switches = pool(stride, return_indices=True)(torch.randn(2, 3, *size))[1]
    y = Upsampling(name, dimensions, 5, 3, stride)(x, switches, size)
    assert y.shape == (2, 3, *size)


def test_pixel_shuffle_can_start_as_nearest():
    up = Upsampling("pixel_shuffle", 2, 4, 3, 2)
    nn.init.zeros_(up.conv.bias)
    up.start_as_nearest()
    y = up(torch.randn(1, 4, 3, 3))
    assert torch.allclose(y, nearest(y[:, :, ::2, ::2], (2, 2)))


@pytest.mark.parametrize("name", ["nearest", "linear", "bed_of_nails", "transposed", "pixel_shuffle"])
def test_can_start_as_plain_upsampling_of_each_channel(name):
    up = Upsampling(name, 2, 3, 3, 2)
    up.start_as_identity()
    x = torch.randn(1, 3, 4, 4)
    expected = {
        "bed_of_nails": lambda: bed_of_nails(x, (2, 2)),
        "linear": lambda: nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear"),
    }.get(name, lambda: nearest(x, (2, 2)))()
    torch.testing.assert_close(up(x), expected)
