import numpy as np
import pytest

from medseg.errors import ConfigError, InputError
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable, Scan
from medseg.types.labels import smallest_label_dtype

GRID = Geometry(np.eye(4), (2, 3, 4))
TABLE = LabelTable((LabelClass(2, "b"), LabelClass(1, "a")))


def test_classes_are_in_order_of_their_values() -> None:
    assert [c.name for c in TABLE] == ["a", "b"]
    assert TABLE.largest == 2
    assert TABLE.name_of(7) == "class-7"


@pytest.mark.parametrize(
    "classes",
    [
        (LabelClass(1, "a"), LabelClass(1, "b")),
        (LabelClass(1, "a"), LabelClass(2, "a")),
        (LabelClass(0, "background"),),
        (LabelClass(65536, "far"),),
    ],
)
def test_a_table_that_would_confuse_is_refused(classes: tuple[LabelClass, ...]) -> None:
    with pytest.raises(ConfigError):
        LabelTable(classes)


def test_labels_are_small_whole_numbers_on_their_grid() -> None:
    LabelMap(np.zeros((2, 3, 4), np.uint8), GRID, TABLE)
    with pytest.raises(InputError, match="uint8 or uint16"):
        LabelMap(np.zeros((2, 3, 4), np.float32), GRID, TABLE)
    with pytest.raises(InputError, match="do not fit"):
        LabelMap(np.zeros((4, 3, 2), np.uint8), GRID, TABLE)


def test_the_dtype_holds_the_largest_value() -> None:
    assert smallest_label_dtype(255) is np.uint8
    assert smallest_label_dtype(256) is np.uint16


def test_a_scan_has_channels_first() -> None:
    assert Scan(np.zeros((5, 2, 3, 4)), GRID).channels == 5
    with pytest.raises(InputError, match="channels first"):
        Scan(np.zeros((2, 3, 4, 1)), GRID)
    with pytest.raises(InputError, match="real numbers"):
        Scan(np.zeros((1, 2, 3, 4), np.complex64), GRID)
