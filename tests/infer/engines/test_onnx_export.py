import json
from pathlib import Path

import numpy as np
import pytest
from engines_for_tests import ENGINES, engine, needs_onnx

from medseg.errors import ModelError
from medseg.infer.engines import select
from medseg.infer.engines.onnx_export import export_onnx
from medseg.infer.engines.onnx_files import find_export
from medseg.infer.options import InferOptions
from medseg.models.package import write_card, write_package


@needs_onnx
def test_an_export_that_does_not_say_what_members_found_is_made_anew(make):
    package = make(3, 2)
    report = export_onnx(package)
    assert report["outputs"] == ["scores", "found"]
    path = Path(report["file"]).with_name("model.onnx.json")
    path.write_text(json.dumps({k: v for k, v in report.items() if k not in ("outputs", "file")}))
    assert find_export(package) is None


@needs_onnx
def test_the_report_says_how_well_the_export_agrees(make):
    package = make()
    assert find_export(package) is None
    report = export_onnx(package)
    assert report["network_sha256"] == package.network_hash
    assert report["largest_difference"] < 1e-4 * report["range_of_scores"]
    assert report["voxels_with_another_winner"] == 0
    assert str(find_export(package).path) == report["file"]


@needs_onnx
def test_an_export_that_computes_something_else_is_refused(make, monkeypatch):
    package = make()

    class Wrong:
        name = "wrong"

        def run(self, windows):
            return np.zeros((1, 3, *package.card.input.patch), np.float32)

    monkeypatch.setattr("medseg.infer.engines.onnx_export._any_engine", lambda export, card: Wrong())
    with pytest.raises(ModelError, match="gives another result"):
        export_onnx(package)
    assert find_export(package) is None


@needs_onnx
def test_an_export_of_another_package_is_not_used_and_a_changed_one_refused(make):
    package = make()
    export_onnx(package, package.folder)
    path = find_export(package).path
    assert path.parent == package.folder
    report = path.with_name("model.onnx.json")
    report.write_text(json.dumps({**json.loads(report.read_text()), "network_sha256": "other"}))
    assert find_export(package) is None
    export_onnx(package, package.folder)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ModelError, match="SHA-256 differs"):
        find_export(package).checked()


@needs_onnx
@pytest.mark.parametrize("name", ENGINES)
def test_a_network_is_exported_when_an_engine_first_needs_it(make, name):
    package = make()
    made = engine(package, name)
    assert made.name.startswith(ENGINES[name])
    first = find_export(package).path.stat().st_mtime_ns
    engine(package, name)
    assert find_export(package).path.stat().st_mtime_ns == first


@needs_onnx
def test_an_export_outlives_additions_to_the_card_but_not_other_weights(make):
    package = make()
    before = package.hash
    export_onnx(package)
    added = write_card(package.folder, package.card.model_copy(update={"limits": ("for tests only",)}))
    assert added.hash != before
    assert find_export(added) is not None
    other = write_package(package.folder, added.card, {k: v + 1 for k, v in package.weights().items()})
    assert find_export(other) is None


@needs_onnx
def test_what_cannot_be_exported_is_tried_once_and_runs_on_torch(make, monkeypatch, caplog):
    pytest.importorskip("openvino")
    package, tried = make(), []

    def refuse(*_):
        tried.append(1)
        raise ModelError("an operation ONNX does not have")

    monkeypatch.setattr("medseg.infer.engines.onnx_export.export_onnx", refuse)
    for _ in range(2):
        assert select.select_engine(package, InferOptions(device="cpu")).name.startswith("torch")
    assert tried == [1]
    with pytest.raises(ModelError, match="models export tiny --format onnx"):
        select.select_engine(package, InferOptions(engine="openvino", device="cpu"))
