"""The architectures of medseg's own: shapes, gradients, export, a tiny overfit, in two and three dimensions."""

import pytest
from network_checks import check_export, check_overfit, check_shapes_and_gradients, check_trace

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # torch.onnx's own

SMALL = {
    "sliding_window_classifier": {"features": [4, 6], "hidden": 8, "mode": "dilated"},
    "fcn_full_resolution": {"features": [6, 6, 6]},
    "fcn": {"features": [4, 8, 8], "head": "2s"},
    "deconvnet": {"features": [6, 8], "bottleneck": 12},
    "unet": {"features": [4, 8, 8]},
    "resenc_m": {"stages": 3, "width": 4},
    "pretrained_unet": {"weights": None, "depth": 2, "features": [4, 8]},
}
ARCHITECTURES = [pytest.param(name, arguments, id=name) for name, arguments in SMALL.items()]
UNETS = {
    "residual": {"encoder": "residual"},
    "no-skip": {"skip": "none"},
    "added-skip": {"skip": "add"},
    "deep-supervision": {"deep_supervision": True},
    "attention-gates": {"attention_gates": True},
    "attention-added": {"attention_gates": True, "skip": "add"},
    "dropout": {"dropout": 0.2},
    "batch-norm": {"norm": "batch"},
    "group-norm": {"norm": "group"},
    "no-norm": {"norm": "none"},
    "max-pool": {"downsampling": "max_pool"},
    "nearest": {"upsampling": "nearest"},
    "linear": {"upsampling": "linear"},
    "bed-of-nails": {"upsampling": "bed_of_nails"},
    "max-unpool": {"upsampling": "max_unpool"},
    "pixel-shuffle": {"upsampling": "pixel_shuffle"},
    "everything": {
        "encoder": "residual", "deep_supervision": True, "attention_gates": True, "dropout": 0.1,
        "upsampling": "max_unpool", "blocks": [1, 1, 2], "decoder_blocks": [2, 1],
    },
}  # fmt: skip
VARIANTS = [pytest.param({"features": [4, 8, 8], **arguments}, id=name) for name, arguments in UNETS.items()]


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("name", "arguments"), ARCHITECTURES)
def test_shapes_and_gradients(name, arguments, dimensions):
    check_shapes_and_gradients(name, dimensions, arguments)


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("arguments", VARIANTS)
def test_unet_shapes_and_gradients(arguments, dimensions):
    check_shapes_and_gradients("unet", dimensions, arguments)


@pytest.mark.parametrize(("name", "dimensions"), [("unet", 3), ("deconvnet", 2), ("sliding_window_classifier", 2)])
def test_export(name, dimensions):
    check_export(name, dimensions, SMALL[name])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.trace:DeprecationWarning")
@pytest.mark.parametrize("check", [check_export, check_trace])
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("name", "arguments"), ARCHITECTURES)
def test_export_and_trace_of_every_architecture(name, arguments, dimensions, check):
    check(name, dimensions, arguments)


@pytest.mark.slow
@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize("arguments", VARIANTS)
def test_export_of_every_unet(arguments, dimensions):
    check_export("unet", dimensions, arguments)


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sliding", "stitched"])
def test_export_of_the_slow_ways(mode):
    check_export("sliding_window_classifier", 2, {**SMALL["sliding_window_classifier"], "mode": mode}, least=5)


@pytest.mark.parametrize(("name", "arguments"), ARCHITECTURES)
def test_overfit(name, arguments):
    check_overfit(name, 2, arguments)


def test_overfit_in_three_dimensions():
    check_overfit("unet", 3, SMALL["unet"], least=16)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "arguments"), ARCHITECTURES)
def test_overfit_of_every_architecture_in_three_dimensions(name, arguments):
    check_overfit(name, 3, arguments, least=16)
