"""Finds the configs, pipelines and models that come with medseg, installed or in a checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from medseg.errors import ConfigError

__all__ = ["find", "models", "shipped"]

PACKAGE = Path(__file__).resolve().parent
Kind = Literal["configs", "pipelines"]


def shipped(kind: Kind) -> dict[str, Path]:
    """Shipped YAML files of a kind, by name.

    A wheel carries them under ``medseg/shipped``; a checkout has them at the top level, where people look.
    """
    folder = next((f for f in (PACKAGE / "shipped" / kind, PACKAGE.parent / kind) if f.is_dir()), None)
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find(kind: Kind, name_or_path: str | Path) -> Path:
    """Path of a shipped file by its name, or of one's own by its path.

    Raises
    ------
    ConfigError
        When neither exists.
    """
    known = shipped(kind)
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    path = Path(name_or_path)
    if path.is_file():
        return path
    raise ConfigError(
        f"there is no {kind[:-1]} called '{name_or_path}'",
        fix=f"Use the path of a YAML file, or one of: {', '.join(known) or 'none shipped'}.",
    )


def models() -> dict[str, Path]:
    """Folders of the model packages inside medseg, by name."""
    folder = PACKAGE / "models" / "shipped"
    return {path.parent.name: path.parent for path in sorted(folder.glob("*/model.yaml"))}
