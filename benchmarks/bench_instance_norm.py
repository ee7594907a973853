"""Measures a U-Net's training step with medseg's instance normalization beside PyTorch's; writes a page.

    python benchmarks/bench_instance_norm.py

Forward and backward pass of the same U-Net (16 to 128 features, batch 4 of 40 x 56 x 40, bf16, channels last) on one
thread, in CPU seconds, the three kinds taking turns; the least of several turns counts.
"""

from __future__ import annotations

import platform
import time
from pathlib import Path

import torch
from torch import nn

from medseg.models.instance_norm import InstanceNorm
from medseg.models.registry import build_network

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "instance-norm.md"
TURNS = 6
SHAPE = (4, 1, 40, 56, 40)


def swapped(network: nn.Module, kind: str) -> nn.Module:
    """The network with PyTorch's layer in the place of medseg's, its weights kept."""
    for name, layer in list(network.named_modules()):
        if kind == "medseg" or not isinstance(layer, InstanceNorm):
            continue
        channels = layer.num_channels
        other = (
            nn.InstanceNorm3d(channels, affine=True) if kind == "InstanceNorm3d" else nn.GroupNorm(channels, channels)
        )
        other.load_state_dict(layer.state_dict())
        parent, _, leaf = name.rpartition(".")
        setattr(network.get_submodule(parent), leaf, other)
    return network.to(memory_format=torch.channels_last_3d).train()


def step(network: nn.Module, x: torch.Tensor, slope: torch.Tensor, *, bf16: bool = True) -> float:
    network.zero_grad()
    start = time.process_time()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        scores = network(x)
    (scores.float() * slope).sum().backward()
    return time.process_time() - start


def gradient(network: nn.Module) -> torch.Tensor:
    return torch.cat([weight.grad.flatten() for weight in network.parameters() if weight.grad is not None])


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    arguments = {"features": [16, 32, 64, 128]}
    networks = {}
    for kind in ("medseg", "InstanceNorm3d", "GroupNorm"):
        torch.manual_seed(0)
        networks[kind] = swapped(build_network("unet", channels=1, classes=3, dimensions=3, arguments=arguments), kind)
    x = torch.randn(SHAPE).contiguous(memory_format=torch.channels_last_3d)
    slope = torch.randn(SHAPE[0], 3, *SHAPE[2:])
    taken: dict[str, list[float]] = {kind: [] for kind in networks}
    for turn in range(TURNS):
        for kind, network in networks.items():
            seconds = step(network, x, slope)
            if turn:
                taken[kind].append(seconds)
    least = {kind: min(values) for kind, values in taken.items()}
    gradients = {kind: gradient(network) for kind, network in networks.items()}
    step(networks["InstanceNorm3d"], x, slope, bf16=False)
    exact = gradient(networks["InstanceNorm3d"])
    apart = {kind: float((found - exact).norm() / exact.norm()) for kind, found in gradients.items()}
    names = {"medseg": "medseg's `InstanceNorm`", "InstanceNorm3d": "`torch.nn.InstanceNorm3d`"}
    names["GroupNorm"] = "`torch.nn.GroupNorm`, one channel a group"
    rows = [
        f"| {names[kind]} | {seconds:.3f} | {seconds / least['medseg']:.2f} | {apart[kind]:.1%} |"
        for kind, seconds in least.items()
    ]
    text = "\n".join(
        [
            "# A training step, by instance normalization",
            "",
            "`python benchmarks/bench_instance_norm.py`: forward and backward pass of one U-Net (16 to 128 features)",
            "on a batch of 4 × 40 × 56 × 40 voxels, bf16, channels last, one thread; CPU seconds, least of "
            f"{TURNS - 1} turns",
            f"taken in alternation. PyTorch {torch.__version__}, Python {platform.python_version()}. The last column",
            "is how far the gradient of all weights lies from the one in float32 with PyTorch's layer.",
            "",
            "| normalization | seconds a step | ratio | gradient from float32's |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
