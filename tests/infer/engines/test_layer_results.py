"""The largest layer's result, computed on the smallest window, is that of the whole window by its shape."""

import subprocess
import sys

import pytest
import torch
from networks_for_tests import tiny_card

from medseg.infer.engines.layer_results import is_plain, largest_on_meta, largest_result
from medseg.models.card import NetworkCard
from medseg.models.registry import build_network
from medseg.prepare.card import ChannelCard, InputCard

PLAIN = [
    {"features": [4, 8, 12]},
    {"features": [4, 8, 12, 16], "encoder": "residual"},
    {"features": [4, 8], "norm": "batch"},
]


def card_of(arguments, dimensions, patch):
    inputs = InputCard(channels=(ChannelCard(name="MR"),), patch=(*patch, 1)[:3])
    return tiny_card(
        classes=("a", "b"), input=inputs, network=NetworkCard(name="unet", dimensions=dimensions, arguments=arguments)
    )


@pytest.mark.parametrize("patch", [(16, 24, 32), (48, 16)])
@pytest.mark.parametrize("arguments", PLAIN)
def test_the_smallest_window_says_it_exactly(arguments, patch):
    network = build_network("unet", channels=1, classes=3, dimensions=len(patch), arguments=arguments).eval()
    card = card_of(arguments, len(patch), patch)
    assert is_plain(network)
    assert largest_result(network, card) == largest_on_meta(card)
    assert not any(module._forward_hooks for module in network.modules())


def test_the_first_of_these_networks_is_plain_and_one_with_attention_is_not():
    build = {"channels": 1, "classes": 3, "dimensions": 3}
    assert is_plain(build_network("unet", arguments=PLAIN[0], **build))
    attending = torch.nn.Sequential(torch.nn.Conv3d(1, 4, 1), torch.nn.LayerNorm(4))
    attending.multiple = (1, 1, 1)
    assert not is_plain(attending)
    assert not is_plain(torch.nn.Conv3d(1, 1, 1))


UNCOMPILED = """
import sys
from medseg.infer.engines.torch import TorchEngine
from medseg.models.package import load_package
assert TorchEngine(load_package("hippocampus"), "cpu").working_bytes > 0
sys.exit("torch._dynamo" in sys.modules)
"""


def test_the_shipped_model_starts_without_pytorch_s_compiler():
    assert subprocess.run([sys.executable, "-c", UNCOMPILED]).returncode == 0
