"""Files of plain arrays for tests: .npy, .npz and HDF5."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


def write_arrays(path: Path, **arrays: Any) -> Path:
    """Write arrays by key; of a .npy file, the one called image. Skips the test where h5py is needed and absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, arrays["image"])
    elif path.suffix == ".npz":
        np.savez_compressed(path, **arrays)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(path, "w") as file:
            for key, value in arrays.items():
                file[key] = value
    return path
