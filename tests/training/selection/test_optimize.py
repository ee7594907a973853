import json

import numpy as np
import pytest
from tiny_dataset import train_config

from medseg.errors import InputError, UsageError
from medseg.infer.engines.precision import LARGEST_DROP, LEAST_AGREEMENT, allowed_precisions
from medseg.infer.engines.select import select_engine
from medseg.infer.options import InferOptions
from medseg.models.package import load_package, write_card
from medseg.models.zipping import copy_package, write_zip
from medseg.training.run import train
from medseg.training.selection.optimize import optimize, parse_precisions


@pytest.fixture(scope="module")
def measured(balls, tmp_path_factory):
    for module in ("onnx", "onnxscript", "openvino", "nncf"):
        pytest.importorskip(module)
    out = tmp_path_factory.mktemp("optimized")
    network = {"name": "unet", "arguments": {"features": [6, 12]}}
    train(balls, out / "run", config=train_config(epochs=20, network=network), device="cpu")
    package = copy_package(load_package(out / "run" / "model"), out / "copy")
    return optimize(package, balls, precisions=("int8",))


def test_what_int8_costs_is_on_the_card_and_decides_whether_it_is_used(measured):
    package, (exact, lower) = measured
    card = load_package(package.folder).card
    entry = card.precisions["int8"]
    assert exact.precision == "float32"
    assert set(exact.drop.values()) == {0.0}
    assert exact.agreement == 1
    for name, drop in entry.dice_drop.items():
        assert drop == pytest.approx(exact.dice[name] - lower.dice[name], abs=1e-6)
    assert entry.held_out
    assert entry.cases == len(card.training.held_out)
    assert entry.agreement == pytest.approx(lower.agreement, abs=1e-6)
    harmless = max(entry.dice_drop.values()) <= LARGEST_DROP and entry.agreement >= LEAST_AGREEMENT
    assert ("int8" in allowed_precisions(card)) == lower.allowed == harmless


def test_the_network_in_int8_runs_and_a_changed_one_is_refused(measured, tmp_path):
    package, _ = measured
    harmless = dict.fromkeys(package.card.precisions["int8"].dice_drop, 0.0)
    entry = package.card.precisions["int8"].model_copy(update={"dice_drop": harmless, "agreement": 1.0})
    copy = copy_package(package, tmp_path / "copy")
    copy = write_card(copy.folder, copy.card.model_copy(update={"precisions": {"int8": entry}}))
    options = InferOptions(engine="openvino", precision="int8", device="cpu")
    window = np.random.default_rng(0).normal(size=(1, len(copy.card.input.channels), *copy.card.input.patch))
    scores = select_engine(copy, options).run(window.astype(np.float32))
    assert np.isfinite(scores).all()
    assert scores.shape[1] == copy.card.n_outputs
    write_zip(copy, tmp_path / "model.zip")
    assert select_engine(load_package(tmp_path / "model.zip"), options).name.endswith("int8")
    weights = copy.folder / "model-int8.bin"
    weights.write_bytes(weights.read_bytes() + b"x")
    with pytest.raises(Exception, match="not the one the card describes"):
        select_engine(copy, options)


def test_a_dataset_without_the_model_s_classes_is_refused(measured, balls, tmp_path):
    package, _ = measured
    for name in ("imagesTr", "labelsTr"):
        (tmp_path / name).symlink_to(balls / name)
    content = json.loads((balls / "dataset.json").read_text())
    content["labels"] = {"0": "background"}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(InputError):
        optimize(package, tmp_path, precisions=("int8",))


def test_names_of_precisions():
    assert parse_precisions(None) is None
    assert parse_precisions("int8, bfloat16") == ("bfloat16", "int8")
    for wrong in ("float32", "int4", ""):
        with pytest.raises(UsageError):
            parse_precisions(wrong)
