import numpy as np
import pytest
from engines_for_tests import engine

from medseg.errors import ModelError
from medseg.infer.engines.onnx_export import export_onnx
from medseg.infer.engines.onnx_files import find_export

ENGINES = ["openvino", "onnx"]


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("members", [1, 2])
def test_a_file_in_its_package_refers_to_the_weights_there(make, name, members):
    package = make(3, members)
    alone = export_onnx(package)
    window = np.random.default_rng(0).normal(size=(1, 1, *package.card.input.patch)).astype(np.float32)
    expected = engine(package, name).run(window).copy()
    shared = export_onnx(package, package.folder)
    assert (alone["shares_weights"], shared["shares_weights"]) == (False, True)
    export = find_export(package)
    assert export.path.parent == package.folder
    assert np.array_equal(engine(package, name).run(window), expected)


def test_other_weights_than_the_card_describes_are_refused(make):
    package = make()
    export_onnx(package, package.folder)
    content = bytearray(package.weights_path.read_bytes())
    content[-1] ^= 1
    package.weights_path.write_bytes(content)
    with pytest.raises(ModelError, match="not the ones the card describes"):
        find_export(package).checked()
