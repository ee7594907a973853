import pytest
import torch

from medseg.data.topology import feature_voxels, topology_of
from medseg.models.registry import build_network


def test_isotropic_patches_are_pooled_alike():
    topology = topology_of((1.0, 1.0, 1.0), (40, 56, 40))
    assert topology.patch == (40, 56, 40)
    assert topology.strides == ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))
    assert set(topology.kernels) == {(3, 3, 3)}
    assert topology.multiple == (8, 8, 8)


def test_thick_slices_are_pooled_late_and_convolved_late():
    """nnU-Net's plan of its prostate dataset: 3.6 x 0.625 x 0.625 mm, patch 16 x 320 x 320."""
    topology = topology_of((3.6, 0.625, 0.625), (16, 320, 320))
    assert topology.strides == (
        (1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2), (1, 2, 2)
    )  # fmt: skip
    assert topology.kernels == (
        (1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)
    )  # fmt: skip


def test_a_patch_is_made_to_fit_and_depth_can_be_bounded():
    assert topology_of((1.0, 1.0), (100, 37)).patch == (112, 40)
    assert len(topology_of((1.0, 1.0, 1.0), (128, 128, 128), most_stages=3).strides) == 3


@pytest.mark.parametrize(("spacing", "patch"), [((1.0, 1.0, 1.0), (16, 24, 16)), ((4.0, 1.0), (8, 32))])
def test_counted_numbers_are_those_the_network_makes(spacing, patch):
    topology = topology_of(spacing, patch)
    features = [4 * 2**k for k in range(len(topology.strides))]
    arguments = {"features": features, "strides": topology.strides, "kernels": topology.kernels}
    arguments["deep_supervision"] = True
    network = build_network("unet", channels=1, classes=3, dimensions=len(patch), arguments=arguments).train()
    made = []
    kinds = (torch.nn.Conv2d, torch.nn.Conv3d, torch.nn.ConvTranspose2d, torch.nn.ConvTranspose3d)
    for module in network.modules():
        if isinstance(module, kinds):
            module.register_forward_hook(lambda _m, _i, output: made.append(output.numel()))
    network(torch.zeros(1, 1, *topology.patch))
    assert sum(made) == feature_voxels(topology, features, 3)
