import pytest
import torch

from medseg.models.registry import build_network


def _unet(dimensions=3, **arguments):
    return build_network("unet", channels=1, classes=3, dimensions=dimensions, arguments=arguments)


def test_multiple_is_the_product_of_strides_along_each_axis():
    network = _unet(features=[4, 8, 8], strides=[1, [1, 2, 2], [2, 2, 2]], kernels=[[1, 3, 3], 3, 3])
    assert network.multiple == (2, 4, 4)
    assert network(torch.randn(1, 1, 4, 8, 8)).shape == (1, 3, 4, 8, 8)


def test_deep_supervision_gives_every_stage_in_training_and_one_map_in_evaluation():
    network = _unet(features=[4, 8, 8, 8], deep_supervision=True)
    x = torch.randn(1, 1, 16, 16, 16)
    assert [tuple(s.shape[2:]) for s in network(x)] == [(16,) * 3, (8,) * 3, (4,) * 3]
    assert network.eval()(x).shape == (1, 3, 16, 16, 16)


def test_state_dict_names_are_stable():
    names = set(_unet(features=[4, 8], attention_gates=True, deep_supervision=True).state_dict())
    unit = {"conv.weight", "norm.weight", "norm.bias"}
    expected = {
        f"{side}.stages.{stage}.blocks.{block}.{leaf}"
        for side, stages in (("encoder", (0, 1)), ("decoder", (0,)))
        for stage in stages
        for block in (0, 1)
        for leaf in unit
    }
    expected |= {f"decoder.stages.0.up.conv.{leaf}" for leaf in ("weight", "bias")}
    expected |= {f"decoder.stages.0.gate.{part}.weight" for part in ("skip", "gate", "weight")}
    expected |= {f"decoder.stages.0.gate.{part}.bias" for part in ("gate", "weight")}
    expected |= {"decoder.heads.0.weight", "decoder.heads.0.bias"}
    assert names == expected


def test_residual_state_dict_names_are_stable():
    names = _unet(features=[4, 8], encoder="residual").state_dict()
    assert {"encoder.stem.conv.weight", "encoder.stages.1.blocks.2.second.norm.bias"} <= set(names)
    assert "encoder.stages.1.blocks.0.past.1.conv.weight" in names


def test_blocks_default_to_nnunets():
    residual = _unet(features=[2, 2, 2, 2, 2], encoder="residual", norm="batch").encoder
    assert [len(stage.blocks) for stage in residual.stages] == [1, 3, 4, 6, 6]
    plain = _unet(features=[2, 2, 2], blocks=[1, 2, 3]).encoder
    assert [len(stage.blocks) for stage in plain.stages] == [1, 2, 3]


def test_without_skips_the_decoder_knows_only_the_coarsest_features():
    for skip, crosses in (("none", False), ("add", True), ("concat", True)):
        network = _unet(2, features=[4, 8], skip=skip).eval()
        x = torch.randn(1, 1, 8, 8)
        features, switches = network.encoder(x)
        changed = [features[0] + 1, features[1]]
        same = torch.equal(network.decoder(features, switches)[0], network.decoder(changed, switches)[0])
        assert same is not crosses, skip


def test_added_skips_need_fewer_weights_than_concatenated_ones():
    count = {s: sum(p.numel() for p in _unet(features=[8, 16], skip=s).parameters()) for s in ("none", "add", "concat")}
    assert count["none"] == count["add"] < count["concat"]


def test_max_unpool_takes_the_switches_of_its_own_pooling():
    network = _unet(2, features=[4, 8, 8], upsampling="max_unpool", skip="none").eval()
    _, switches = network.encoder(torch.randn(1, 1, 16, 16))
    assert switches[0] is None
    assert [tuple(s.shape) for s in switches[1:]] == [(1, 4, 8, 8), (1, 8, 4, 4)]


def test_resenc_presets_are_nnunets():
    # Plans of nnU-Net 2's ResEnc planners: 6 stages, 32 to 320 features, 1-3-4-6-6-6 blocks, one decoder convolution.
    with torch.device("meta"):  # the shapes of 100 million weights, without drawing them
        network = build_network("resenc_l", channels=1, classes=2, dimensions=3)
        two = build_network("resenc_m", channels=1, classes=2, dimensions=2, arguments={"stages": 7, "width": 32})
    assert [s.blocks[0].second.conv.out_channels for s in network.encoder.stages] == [32, 64, 128, 256, 320, 320]
    assert [len(s.blocks) for s in network.encoder.stages] == [1, 3, 4, 6, 6, 6]
    assert [len(s.blocks) for s in network.decoder.stages] == [1] * 5
    assert network.deep_supervision
    assert two.encoder.channels[-1] == 512


@pytest.mark.parametrize("dimensions", [2, 3])
def test_weights_are_drawn_anew_for_each_seed_and_the_same_for_the_same(dimensions):
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(torch.cat([p.flatten() for p in _unet(dimensions, features=[4, 8]).parameters()]))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
