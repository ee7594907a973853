"""Versions of what makes results, without importing any of it."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("medseg", "torch", "numpy", "scipy", "nibabel", "SimpleITK", "pydicom", "highdicom", "openvino")


@cache
def versions() -> dict[str, str]:
    """Version of Python and of each package that can change a result; those not installed are skipped."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
