"""A network is written in a small window, and the file computes the card's, as PyTorch does."""

import numpy as np
import pytest
from engines_for_tests import needs_onnx

from medseg.infer.engines import onnx_export, traced_window
from medseg.infer.engines.base import with_window
from medseg.infer.engines.onnx_export import export_onnx
from medseg.infer.engines.select import select_engine
from medseg.infer.options import InferOptions


@pytest.fixture
def written(monkeypatch):
    """Windows in which networks were written, each window being large enough to try a smaller one first."""
    pytest.importorskip("openvino")
    windows, write = [], onnx_export._write
    monkeypatch.setattr(traced_window, "LARGE", 0)
    monkeypatch.setattr(
        onnx_export,
        "_write",
        lambda networks, shown, *rest: (windows.append(shown.shape), write(networks, shown, *rest)),
    )
    return windows


@needs_onnx
@pytest.mark.parametrize(("dimensions", "members"), [(3, 1), (3, 2), (2, 1)])
def test_it_computes_the_window_of_the_card(make, written, dimensions, members):
    package = make(dimensions, members)
    report = export_onnx(package)
    patch = package.card.input.patch
    assert [np.prod(shape) < np.prod(patch) for shape in written] == [True]
    assert report["largest_difference"] < 1e-4 * report["range_of_scores"]
    window = np.random.default_rng(0).normal(size=(1, 1, *patch)).astype(np.float32)
    found, expected = (
        select_engine(package, InferOptions(engine=name, device="cpu")).run(window) for name in ("openvino", "torch")
    )
    assert found.shape[2:] == patch
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@needs_onnx
def test_one_that_fits_no_other_window_is_written_in_its_own(make, written, monkeypatch):
    package, multiple = make(), onnx_export._multiple
    own = package.card.input.patch
    monkeypatch.setattr(
        onnx_export,
        "_multiple",
        lambda networks, window, *rest: multiple(networks, window, *rest) if window.shape[2:] == own else None,
    )
    report = export_onnx(package)
    assert [tuple(shape[2:]) == own for shape in written] == [False, True]
    assert report["multiple"] is not None
    assert len(list(onnx_export.export_folder(package).iterdir())) == 2


def test_a_small_window_or_the_only_one_stays(make):
    card = make().card
    large = with_window(card, (128, 128, 128))

    class Network:
        multiple = (32, 32, 16)

    assert traced_window.smaller_window(Network(), card) is None  # of 8 x 12 x 16
    assert traced_window.smaller_window(object(), large) is None
    assert traced_window.smaller_window(Network(), large).input.patch == (64, 64, 32)
    flat = with_window(make(2).card, (2048, 1024, 1))
    assert traced_window.smaller_window(Network(), flat).input.patch == (64, 64, 1)
