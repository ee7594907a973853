"""Which files hold tests or doctests. What concerns the tests alone is in tests/conftest.py."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Import no module of medseg without a doctest, which takes longer than all doctests do, and no helper of tests."""
    if collection_path.suffix != ".py":
        return None
    if ROOT / "medseg" in collection_path.parents:
        return ">>> " not in collection_path.read_text(encoding="utf-8")
    return not collection_path.name.startswith("test_") or None
