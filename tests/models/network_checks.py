"""What every network must do, as checks that the test modules apply to their networks."""

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medseg.models.registry import build_network


class RunsAtLoading:
    """In a file, what leaves a trace where it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (Path("ran"),)


def built(name: str, dimensions: int = 2, channels: int = 1, classes: int = 2, **arguments: Any) -> nn.Module:
    return build_network(name, channels=channels, classes=classes, dimensions=dimensions, arguments=arguments)


def _size(network: nn.Module, least: int) -> tuple[int, ...]:
    return tuple(max(m, -(-least // m) * m) for m in network.multiple)


def check_shapes_and_gradients(name: str, dimensions: int, arguments: dict[str, Any], least: int = 8) -> None:
    """Scores have the input's size, in training and evaluation; every weight that can learn gets a finite gradient."""
    network = build_network(name, channels=2, classes=3, dimensions=dimensions, arguments=arguments)
    size = _size(network, least)
    x = torch.randn(2, 2, *size)
    scores = network(x)
    scores = scores if isinstance(scores, list) else [scores]
    assert scores[0].shape == (2, 3, *size)
    for finer, coarser in itertools.pairwise(scores):
        assert coarser.shape[:2] == (2, 3)
        assert np.prod(coarser.shape) < np.prod(finer.shape)
    torch.stack([(s * torch.randn_like(s)).sum() for s in scores]).sum().backward()
    for key, weight in network.named_parameters():
        if weight.requires_grad:
            assert weight.grad is not None, f"{key} has no gradient"
            assert weight.grad.isfinite().all(), key
    assert any(weight.grad.abs().max() > 0 for weight in network.parameters() if weight.grad is not None)
    network.eval()
    with torch.no_grad():
        assert network(x).shape == (2, 3, *size)
    with torch.device("meta"), torch.inference_mode():  # how memory is estimated before a scan is segmented
        weightless = build_network(name, channels=2, classes=3, dimensions=dimensions, arguments=arguments).eval()
        assert weightless(torch.zeros(1, 2, *size)).shape == (1, 3, *size)
    rebuilt = build_network(name, channels=2, classes=3, dimensions=dimensions, arguments=arguments).eval()
    rebuilt.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(rebuilt(x), network(x)), "the state dict is not the whole network"


def check_export(name: str, dimensions: int, arguments: dict[str, Any], least: int = 8) -> None:
    """ONNX with any batch gives the scores PyTorch gives, on another batch than it was made with."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason=f"{package} is not installed (extra onnx)")
    import onnxruntime

    network = build_network(name, channels=2, classes=3, dimensions=dimensions, arguments=arguments).eval()
    size = _size(network, least)
    x, other = torch.randn(2, 2, *size), torch.randn(3, 2, *size)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.onnx.export(
        network, (x,), dynamo=True, dynamic_shapes=({0: batch},), input_names=["scan"], verbose=False
    )
    assert program is not None
    written = io.BytesIO()
    program.save(written)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(written.getvalue(), options, providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"scan": other.numpy()})
    with torch.no_grad():
        expected = network(other)
    np.testing.assert_allclose(scores, expected.numpy(), rtol=1e-3, atol=1e-4 * float(expected.abs().max() + 1))


def check_trace(name: str, dimensions: int, arguments: dict[str, Any], least: int = 8) -> None:
    """A TorchScript trace gives the scores the network gives, on another batch than it was made with."""
    network = build_network(name, channels=2, classes=3, dimensions=dimensions, arguments=arguments).eval()
    size = _size(network, least)
    other = torch.randn(3, 2, *size)
    with torch.no_grad():
        traced = torch.jit.trace(network, torch.randn(2, 2, *size), check_trace=False)
        torch.testing.assert_close(traced(other), network(other))


def check_overfit(
    name: str, dimensions: int, arguments: dict[str, Any], *, least: int = 32, steps: int = 60, rate: float = 0.01
) -> None:
    """A few steps on two noisy pictures of a disc and a bar bring the Dice of both above 0.9."""
    network = build_network(name, channels=1, classes=3, dimensions=dimensions, arguments=arguments)
    size = _size(network, least)
    x, labels = _pictures(size)
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate)
    weights = labels.numel() / torch.bincount(labels.flatten(), minlength=3).clamp(min=1)
    for _ in range(steps):
        scores = network(x)
        scores = scores[0] if isinstance(scores, list) else scores
        loss = nn.functional.cross_entropy(scores, labels, weight=weights.sqrt())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    predicted = scores.argmax(1)
    for value in (1, 2):
        ours, theirs = predicted == value, labels == value
        dice = 2 * (ours & theirs).sum() / (ours.sum() + theirs.sum())
        assert dice > 0.9, f"class {value}: Dice {float(dice):.3f} after {steps} steps, loss {float(loss):.3f}"


def _pictures(size: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    axes = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in size), indexing="ij")
    labels = torch.zeros(2, *size, dtype=torch.long)
    for number, center in enumerate((-0.3, 0.3)):
        labels[number][sum((a - center) ** 2 for a in axes) < 0.25] = 1
        labels[number][axes[0] * center < -0.15] = 2
    x = labels[:, None].float() + 0.3 * torch.randn(2, 1, *size)
    return x, labels
