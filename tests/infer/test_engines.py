import os
import shutil
import subprocess
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from engines_for_tests import ENGINES, engine, needs_onnx
from objects_for_tests import scan_of

from medseg.errors import UsageError
from medseg.infer.engines import measure, select
from medseg.infer.engines.onnx_export import export_onnx
from medseg.infer.engines.onnx_files import find_export
from medseg.infer.engines.precision import allowed_precisions, why_precision
from medseg.infer.engines.select import Candidate, _why
from medseg.infer.engines.torch import TorchEngine, load_networks
from medseg.infer.options import InferOptions
from medseg.infer.predictor import Predictor
from medseg.infer.sliding_window import WindowOptions
from medseg.models.package import load_package, write_card
from medseg.models.validation_card import PrecisionCard


@needs_onnx
@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize(("dimensions", "members"), [(3, 1), (2, 1), (3, 3)])
def test_every_engine_gives_the_same_scores(make, name, dimensions, members):
    package = make(dimensions, members)
    export_onnx(package)
    windows = np.random.default_rng(1).normal(size=(3, 1, *package.card.input.patch)).astype(np.float32)
    expected = TorchEngine(package, "cpu").run(windows)
    got = engine(package, name).run(windows)
    assert got.shape == expected.shape == (3, 3, *package.card.input.patch)
    assert np.abs(got - expected).max() < 1e-4 * np.abs(expected).max()


@needs_onnx
@pytest.mark.parametrize(("dimensions", "regions"), [(3, None), (2, None), (3, (2, 1))])
def test_every_engine_sees_the_same_disagreement_among_members(make, dimensions, regions):
    package = make(dimensions, 3, regions)
    scan = scan_of(np.random.default_rng(2).normal(size=(20, 18, 17)).astype(np.float32))
    found = {}
    for name in ("torch", *ENGINES):
        pytest.importorskip(ENGINES.get(name, name))
        predictor = Predictor(package, InferOptions(engine=name, device="cpu", precision="float32"))
        twice = [{v: d.ensemble_dice for v, d in predictor.segment(scan).uncertainty.items()} for _ in range(2)]
        assert twice[0] == twice[1]
        found[name] = twice[0]
    assert set(found["torch"]) == {1, 2}
    assert all(0 < dice < 0.99 for dice in found["torch"].values())
    for name in ENGINES:
        assert found[name] == pytest.approx(found["torch"], abs=1e-3)


def test_an_engine_that_is_not_installed_or_not_for_gpus_says_so(make, monkeypatch):
    package = make()
    with pytest.raises(UsageError, match="runs on the CPU"):
        select.select_engine(package, InferOptions(engine="onnx", device="cuda"))
    monkeypatch.setattr(select, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"--engine openvino: openvino is not installed. Run pip install openvino"):
        select.select_engine(package, InferOptions(engine="openvino", device="cpu"))


@pytest.mark.parametrize(
    ("drops", "agreement", "why_not"),
    [
        (None, None, "not measured"),
        ({"a": 0.0005, "b": 0.002}, 0.9995, None),
        ({"a": -0.01, "b": -0.001}, 0.999, None),
        ({"a": 0.0, "b": 0.0021}, 1.0, "costs more than 0.002 Dice"),
        ({"a": 0.0}, 1.0, "not every class"),
        ({"a": 0.0, "b": 0.0}, 0.9968, "agrees with float32 on 99.680% of voxels, less than 99.9%"),
        ({"a": 0.0, "b": 0.0}, None, "agrees with float32 was not measured"),
    ],
)
def test_bfloat16_only_where_the_card_has_measured_it_harmless(make, drops, agreement, why_not):
    expected = ("float32",) if why_not else ("float32", "bfloat16")
    precisions = {} if drops is None else {"bfloat16": PrecisionCard(dice_drop=drops, cases=20, agreement=agreement)}
    card = make().card.model_copy(update={"precisions": precisions})
    assert allowed_precisions(card) == expected
    assert allowed_precisions(card, "float32") == ("float32",)
    if len(expected) == 2:
        assert allowed_precisions(card, "bfloat16") == ("bfloat16",)
    else:
        with pytest.raises(UsageError, match=why_not) as error:
            allowed_precisions(card, "bfloat16")
        assert "models optimize tiny" in str(error.value)


@needs_onnx
def test_a_choice_says_why_and_what_takes_long_is_said_before_it_is_done(make):
    pytest.importorskip("openvino")
    package, said = make(), []
    chosen = select.choose_engine(package, InferOptions(device="cpu"), said.append)
    assert [text.split()[0].lower() for text in said] == ["writing"]
    assert chosen.engine.name == f"{chosen.program} {chosen.device} {chosen.precision}"
    assert chosen.why.startswith(
        "the fastest engine for a CPU that is installed and runs this network; float32, as no "
    )
    said.clear()
    fixed = InferOptions(device="cpu", engine="openvino", precision="float32")
    again = select.choose_engine(package, fixed, said.append)
    assert not said
    assert (again.device, again.precision) == ("cpu", "float32")
    assert again.why == "openvino was requested; float32 was requested"


def test_why_a_precision_is_used(make):
    card = make().card
    assert why_precision(card, "float32", "auto") == "float32, as no lower precision was measured to cost little enough"
    cost = PrecisionCard(dice_drop={"a": 0.0004, "b": -0.1}, cases=7, agreement=0.9993)
    card = card.model_copy(update={"precisions": {"bfloat16": cost}})
    assert why_precision(card, "bfloat16", "auto") == (
        "bfloat16 was measured to cost 0.00040 Dice at most and to agree with float32 on 99.930% of voxels at least, "
        "over 7 cases"
    )
    assert why_precision(card, "float32", "float32") == "float32 was requested"


def test_torch_computes_bfloat16_close_to_float32(make):
    package = make()
    windows = np.random.default_rng(1).normal(size=(2, 1, *package.card.input.patch)).astype(np.float32)
    exact = TorchEngine(package, "cpu").run(windows)
    lower = TorchEngine(package, "cpu", "bfloat16").run(windows)
    assert lower.dtype == np.float32
    assert 0 < np.abs(lower - exact).max() < 0.05 * np.abs(exact).max()


class Timed:
    """An engine that takes as long as it is told."""

    def __init__(self, name, clock, seconds):
        self.name, self.clock, self.seconds = name, clock, seconds

    def run(self, windows):
        self.clock[0] += self.seconds
        return windows


def test_auto_measures_once_and_remembers(make, monkeypatch):
    package, clock, made = make(), [0.0], []
    monkeypatch.setattr(measure.time, "perf_counter", lambda: clock[0])

    def maker(name, seconds):
        def build():
            made.append(name)
            return Timed(name, clock, seconds)

        return build

    makers = {"openvino": maker("openvino", 0.2), "torch": maker("torch", 0.1)}
    assert measure.fastest(package, makers).engine.name == "torch"
    assert measure.fastest(package, makers).engine.name == "torch"
    assert made == ["openvino", "torch", "torch"]
    # Another set of engines is another question; one engine is none.
    assert measure.fastest(package, {"openvino": makers["openvino"]}).engine.name == "openvino"


def test_auto_leaves_a_hopeless_engine_after_one_window_unless_it_compiles(make, monkeypatch):
    package, clock = make(), [0.0]
    monkeypatch.setattr(measure.time, "perf_counter", lambda: clock[0])
    runs = []

    class Compiling(Timed):
        def run(self, windows):
            runs.append(self.name)
            self.clock[0] += 60 if runs.count("torch") == 1 and self.name == "torch" else self.seconds
            return windows

    makers = {
        "openvino float32": lambda: Compiling("openvino", clock, 0.2),
        "torch float32": lambda: Compiling("torch", clock, 0.1),
    }
    assert measure.fastest(package, makers).engine.name == "openvino"
    assert runs == ["openvino"] * 3 + ["torch"]
    runs.clear()
    compiled = {f"{name} compiled": maker for name, maker in makers.items()}
    assert measure.fastest(package, compiled, patient=True).engine.name == "torch"


def test_measuring_ends_after_two_seconds(make, monkeypatch):
    package, clock, made = make(), [0.0], []
    monkeypatch.setattr(measure.time, "perf_counter", lambda: clock[0])

    def maker(name, seconds):
        return lambda: made.append(name) or Timed(name, clock, seconds)

    slow_first = {"bfloat16": maker("bfloat16", 1.5), "float32": maker("float32", 0.1)}
    assert measure.fastest(package, slow_first).engine.name == "bfloat16"
    assert made == ["bfloat16"]
    assert measure.fastest(package, slow_first).measured == ("bfloat16",)  # from what was kept


def test_only_what_was_measured_is_said_to_be(make):
    both = [Candidate("openvino"), Candidate("openvino", "bfloat16")]
    reason = partial(_why, both, both[1], make(), InferOptions())
    assert reason(both).startswith("the fastest measured on this machine of openvino float32, openvino bfloat16; ")
    assert reason(both[1:]).startswith("the only one measured on this machine; openvino float32 was not measured; ")


def with_bfloat16(make):
    package = make()
    cost = PrecisionCard(dice_drop={"a": 0.0, "b": 0.0}, cases=20, agreement=1.0)
    return write_card(package.folder, package.card.model_copy(update={"precisions": {"bfloat16": cost}}))


def test_bfloat16_is_never_computed_in_software(make, monkeypatch):
    package = with_bfloat16(make)
    monkeypatch.setattr(select, "has_bfloat16", lambda: False)
    chosen = select.choose_engine(package, InferOptions(device="cpu"))
    assert (chosen.program.split()[0], chosen.precision) == ("openvino", "float32")
    assert chosen.how().precision == chosen.engine.precision == "float32"
    with pytest.raises(UsageError, match="bfloat16 cannot be computed here; this CPU computes it in software only"):
        select.choose_engine(package, InferOptions(device="cpu", precision="bfloat16"))
    with pytest.raises(UsageError, match="here by --engine torch; this CPU"):
        select.choose_engine(package, InferOptions(device="cpu", engine="torch", precision="bfloat16"))


def test_a_large_network_is_not_measured(make, monkeypatch):
    package = with_bfloat16(make)
    monkeypatch.setattr(select, "has_bfloat16", lambda: True)
    monkeypatch.setattr(select, "TOO_LARGE_TO_MEASURE", 0)
    made, said = [], []
    monkeypatch.setattr(select, "make_engine", lambda candidate, *_: made.append(candidate) or Timed("x", [0.0], 0))
    select.choose_engine(package, InferOptions(device="cpu"), said.append)
    assert made == [select.Candidate("openvino", "bfloat16")]
    assert "Measuring" not in "".join(said)


@pytest.mark.parametrize("name", ["openvino", "torch"])
@pytest.mark.parametrize(("dimensions", "members"), [(3, 1), (2, 1), (3, 2)])
def test_a_larger_window_gives_what_the_network_gives(make, name, dimensions, members):
    package = make(dimensions, members)
    export_onnx(package)
    own = select.select_engine(package, InferOptions(engine=name, device="cpu"))
    assert own.multiple == ((2, 2, 2) if dimensions == 3 else (2, 2, 0))
    window = (12, 16, 18 if dimensions == 3 else 1)
    larger = own.resized(window)
    shown = np.random.default_rng(1).normal(size=(1, 1, *window)).astype(np.float32)
    expected = np.mean([network_of(part)(shown, dimensions) for part in load_networks(package)], axis=0)
    assert np.abs(larger.run(shown) - expected).max() < 1e-4 * np.abs(expected).max()
    assert larger.working_bytes > own.working_bytes
    again = np.zeros((1, 1, *package.card.input.patch), np.float32)
    assert own.run(again).shape[2:] == package.card.input.patch  # as before


def test_openvino_keeps_to_the_threads_it_is_told(make, monkeypatch):
    pytest.importorskip("openvino")
    package = make()
    export_onnx(package)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert select.select_engine(package, InferOptions(engine="openvino", device="cpu")).threads == 1


def network_of(network):
    def run(shown, dimensions):
        with torch.inference_mode():
            given = network(torch.from_numpy(shown if dimensions == 3 else shown[..., 0])).numpy()
        return given if dimensions == 3 else given[..., None]

    return run


def test_a_case_in_larger_windows(make):
    package = make()
    scan = scan_of(np.random.default_rng(0).normal(size=(14, 18, 30)).astype(np.float32))
    few = Predictor(package, InferOptions(device="cpu", engine="torch", larger_windows=True)).segment(scan)
    many = Predictor(package, InferOptions(device="cpu", engine="torch")).segment(scan)
    assert few.computed.windows.computed < many.computed.windows.computed
    assert few.labels.array.shape == many.labels.array.shape == (14, 18, 30)
    assert np.mean(few.labels.array == many.labels.array) > 0.6


@pytest.mark.parametrize("name", ["hippocampus", "nuclei"])
def test_a_shipped_model_needs_no_export(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSEG_HOME", str(tmp_path))
    package = load_package(name)
    exported = find_export(package)
    assert exported.path.parent == package.folder
    assert exported.checked() == exported.path
    assert exported.multiple is not None


SIGNALED = """
import faulthandler, gc, os, signal, sys
faulthandler.enable()
from medseg.infer.engines.select import choose_engine
from medseg.infer.options import InferOptions
from medseg.models.package import load_package
received = []
signal.signal(signal.SIGTERM, lambda *_: received.append(1))
kept = []
for name in ("hippocampus", "nuclei", "hippocampus"):
    kept.append(choose_engine(load_package(name), InferOptions(device="cpu", engine="openvino", precision="float32")))
while kept:
    kept.pop(0)
    gc.collect()
    os.kill(os.getpid(), signal.SIGTERM)
assert len(received) == 3
"""


def test_a_signal_after_models_that_came_and_went_is_handled():
    done = subprocess.run([sys.executable, "-c", SIGNALED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


COMPILED = """
import sys
import numpy as np
from medseg.errors import ModelError
from medseg.infer.engines.torch import TorchEngine, load_networks
from medseg.models.package import load_package
package = load_package(sys.argv[1])
window = np.random.default_rng(0).normal(size=(1, 1, *package.card.input.patch)).astype(np.float32)
try:
    found = TorchEngine(package, "cpu", compiled=True).run(window)
except ModelError as error:
    print(error.what, "|", error.fix)
else:
    print("difference", float(np.abs(found - TorchEngine(package, "cpu").run(window)).max()))
"""


def run_compiled(package, tmp_path, **environment):
    cache = {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor")}
    done = subprocess.run(
        [sys.executable, "-c", COMPILED, str(package.folder)],
        env={**os.environ, **cache, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.slow
def test_where_pytorch_cannot_compile_it_says_so_in_a_line(make, tmp_path):
    said = run_compiled(make(), tmp_path, CXX=str(tmp_path / "no-compiler"))
    assert said.startswith("PyTorch cannot compile the network here (")
    assert said.endswith("Install a C++ compiler such as g++, or omit segment.compiled.")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler")
def test_a_compiled_network_computes_the_same(make, tmp_path):
    word, value = run_compiled(make(), tmp_path).split()
    assert word == "difference"
    assert float(value) < 1e-4


@needs_onnx
@pytest.mark.parametrize("dimensions", [3, 2])
@pytest.mark.parametrize(
    ("overlap", "mirror", "axes"), [(0.25, "none", 0), (0.5, "left-right", 1), (0.75, "all", None)]
)
def test_overlap_and_mirroring_mean_the_same_with_every_engine(make, dimensions, overlap, mirror, axes):
    package = make(dimensions)
    known = package.card.input.model_copy(update={"mirror_axes": (0, 1, 2)[:dimensions]})
    package = write_card(package.folder, package.card.model_copy(update={"input": known}))
    scan = scan_of(np.random.default_rng(3).normal(size=(18, 23, 20)).astype(np.float32))
    shares = {}
    for name in ("torch", *ENGINES):
        pytest.importorskip(ENGINES.get(name, name))
        how = InferOptions(engine=name, device="cpu", overlap=overlap, mirror=mirror, probabilities=True)
        predictor = Predictor(package, how)
        assert len(predictor.mirror) == (dimensions if axes is None else axes)
        prediction = predictor.segment(scan)
        along = WindowOptions(package.card.input.patch, overlap).along_axes(scan.geometry.shape)
        assert prediction.computed.windows.computed == np.prod([len(axis.starts) for axis in along])
        shares[name] = prediction.probabilities
    how = InferOptions(engine="torch", device="cpu", mirror="none", overlap=0.5, probabilities=True)
    plain = Predictor(package, how).segment(scan).probabilities
    assert np.abs(plain - shares["torch"]).max() > 1e-3  # the option does something
    for name in ENGINES:
        assert np.abs(shares[name] - shares["torch"]).max() < 1e-4


def test_auto_without_anything_that_runs_onnx_is_torch(make, monkeypatch):
    for module in ("medseg.infer.engines.onnx_export", "medseg.infer.engines.select"):
        monkeypatch.setattr(f"{module}.find_spec", lambda name: find_spec(name) if name == "torch" else None)
    assert select.select_engine(make(), InferOptions(device="cpu")).name.startswith("torch")


@needs_onnx
@pytest.mark.skipif(torch.cuda.is_available(), reason="is about a PyTorch that finds no GPU")
def test_with_a_driver_and_a_pytorch_for_the_cpu_auto_is_what_it_is_without_a_gpu(make, monkeypatch):
    monkeypatch.setattr(select, "_has_gpu", lambda: True)
    package = make()
    chosen, without = (select.choose_engine(package, InferOptions(device=device)) for device in ("auto", "cpu"))
    assert (chosen.engine.name, chosen.device, chosen.why) == (without.engine.name, "cpu", without.why)
    assert "GPU" not in chosen.why


@needs_onnx
def test_predict_with_openvino_imports_neither_torch_nor_monai(make, tmp_path):
    pytest.importorskip("openvino")
    package = make()
    export_onnx(package, package.folder)
    scan = nib.Nifti1Image(np.random.default_rng(0).normal(size=(12, 13, 14)).astype(np.float32), np.eye(4))
    nib.save(scan, tmp_path / "scan.nii.gz")
    command = ["predict", tmp_path / "scan.nii.gz", "--model", package.folder, "--engine", "openvino", "--debug"]
    done = subprocess.run(
        [Path(sys.executable).with_name("medseg"), *command, "--out", tmp_path / "out"],
        # Every process, the one that runs the cases too, names on standard error what it imports.
        env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (tmp_path / "out" / "scan" / "labels.nii.gz").is_file()
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")}
    assert {"medseg.engine.worker", "openvino"} <= imported or {"medseg.engine.case_run", "openvino"} <= imported
    assert not imported & {"torch", "monai"}
