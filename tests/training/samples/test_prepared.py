"""What is kept of a prepared case, and what stops that."""

import errno

import numpy as np
import pytest

from medseg.training.samples import prepared


def test_a_disk_that_fills_while_numpy_writes_is_said_to_be_full(tmp_path, monkeypatch):
    """NumPy then says how much it wrote, in an error without a number, which would be called a bug."""

    def partly(*_: object, **__: object) -> None:
        raise OSError("5040 requested and 2016 written")

    monkeypatch.setattr(np, "save", partly)
    with pytest.raises(OSError, match="image") as raised:
        prepared._save(tmp_path / "image.npy", np.zeros(9))
    assert raised.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []
