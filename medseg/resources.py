"""Finds the configs, pipelines and models that come with medseg, and the folder of the models this user added."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Literal

from medseg.errors import ConfigError, did_you_mean

PACKAGE = Path(__file__).resolve().parent
Kind = Literal["configs", "pipelines"]
# What a user reads for each kind.
WORDS: dict[Kind, str] = {"configs": "configuration", "pipelines": "pipeline"}


def shipped(kind: Kind) -> dict[str, Path]:
    """Shipped YAML files of a kind, by name.

    A wheel carries them under ``medseg/shipped``; a checkout has them at the top level, where people look.
    """
    folder = next((f for f in (PACKAGE / "shipped" / kind, PACKAGE.parent / kind) if f.is_dir()), None)
    return {} if folder is None else {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def find(kind: Kind, name_or_path: str | Path) -> Path:
    """Path of a shipped file by its name, or of one's own by its path."""
    known = shipped(kind)
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    path = Path(name_or_path)
    if path.is_file():
        return path
    raise ConfigError(
        f"there is no {WORDS[kind]} called '{name_or_path}'",
        fix=f"{did_you_mean(str(name_or_path), known)} Use the path of a YAML file, or one of: "
        f"{', '.join(known) or 'none shipped'}.",
    )


def models() -> dict[str, Path]:
    """Folders of the model packages inside medseg, by name."""
    folder = PACKAGE / "models" / "shipped"
    return {path.parent.name: path.parent for path in sorted(folder.glob("*/model.yaml"))}


def store_folder() -> Path:
    """Folder of this user's models: ``models`` in ``MEDSEG_HOME``, or in the place the system has for such data."""
    home = os.environ.get("MEDSEG_HOME")
    if home:
        return Path(home) / "models"
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "medseg" / "models"
