"""What an engine is predicted to take, held against the peak of a process that runs it."""

import json
import subprocess
import sys

import pytest
import torch
from networks_for_tests import tiny_card

from medseg.infer.engines.onnx_export import export_onnx
from medseg.models.card import NetworkCard
from medseg.models.package import write_package
from medseg.models.registry import build_network
from medseg.prepare.card import ChannelCard, InputCard

NETWORKS = {
    "unet": ("unet", {"features": [32, 64, 128, 128]}, (48, 56, 40), 3),
    "few features, large window": ("unet", {"features": [16, 32, 64]}, (96, 96, 96), 3),
    "forty classes": ("dynunet", {"features": [32, 64, 128, 256]}, (64, 64, 64), 40),
    "its last layer apart": ("dynunet", {"features": [32, 64, 128, 256]}, (96, 96, 96), 118),
    "nnU-Net's size": ("dynunet", {"features": [32, 64, 128, 256, 320, 320]}, (96, 96, 96), 3),
}
MODULES = {"openvino-float32": "openvino", "openvino-bfloat16": "openvino", "onnx-float32": "onnxruntime"}

RUN = """
import json, sys
import numpy as np, psutil
from medseg.infer.engines.select import Candidate, make_engine
from medseg.infer.engines.onnx_files import find_export
from medseg.infer.options import InferOptions
from medseg.models.package import load_package
package, way = load_package(sys.argv[1]), Candidate(*sys.argv[2].split("-"))
engine = make_engine(way, package, InferOptions(device="cpu"), find_export(package))
window = np.random.default_rng(0).standard_normal((1, 1, *package.card.input.patch), np.float32)
is_apart = getattr(engine, "output_layer", None) is not None
run = engine.features if is_apart else engine.run
before = psutil.Process().memory_info().rss
for _ in range(3):
    given = run(window)
# Unlike ru_maxrss this is not inherited from the process that started this one.
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
peak = int(status["VmHWM"].split()[0]) * 1024
sizes = {"predicted": engine.working_bytes, "measured": peak - before - given.nbytes}
print(json.dumps({"is_apart": is_apart, **sizes}))
"""


@pytest.fixture(scope="module", params=NETWORKS)
def package(request, tmp_path_factory):
    for module in ("onnx", "onnxscript", "openvino"):
        pytest.importorskip(module)
    name, arguments, patch, classes = NETWORKS[request.param]
    torch.manual_seed(0)
    network = build_network(name, channels=1, classes=classes, dimensions=3, arguments=arguments)
    inputs = InputCard(channels=(ChannelCard(name="CT"),), patch=patch)
    built = NetworkCard(name=name, arguments=arguments)
    card = tiny_card(classes=[f"class {i}" for i in range(1, classes)], input=inputs, network=built)
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    made = write_package(tmp_path_factory.mktemp("memory"), card, weights)
    export_onnx(made, made.folder)
    return made


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read as Linux gives it")
@pytest.mark.parametrize("way", MODULES)
def test_working_memory_is_predicted_and_not_by_far_too_much(package, way):
    pytest.importorskip(MODULES[way])
    command = [sys.executable, "-c", RUN, str(package.folder), way]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert found["is_apart"] == (package.card.n_outputs == 118 and way.startswith("openvino"))
    most = 1.35 * found["measured"] if found["is_apart"] else 1.6 * found["measured"] + 50e6
    assert 0.95 * found["measured"] <= found["predicted"] <= most, found
