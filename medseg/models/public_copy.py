"""Copies a model package for others to see: the same model, without names of cases or folders on its card."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

from medseg.io.files.patient_names import hidden_name
from medseg.models.card import ModelCard
from medseg.models.composite_card import PARTS_FOLDER
from medseg.models.package import CARD_FILE, ModelPackage, write_card


def public_copy(package: ModelPackage, folder: Path) -> ModelPackage:
    """Write the package into a folder, its low-resolution stage included, with cards as `public_card` makes them.

    The weights and their hash are the same; the hash of the package, which is that of its card, is another.
    """
    folder.mkdir(parents=True, exist_ok=True)
    card = public_card(package.card)
    stage, entry = package.low_resolution_stage, card.low_resolution_stage
    if stage is not None and entry is not None:
        inner = public_copy(stage, folder / entry.folder)
        card = card.model_copy(update={"low_resolution_stage": entry.model_copy(update={"sha256": inner.hash})})
    if card.composite is not None:
        inside = zip(card.composite.parts, package.parts, strict=True)
        entries = tuple(
            entry.model_copy(update={"sha256": public_copy(part, folder / PARTS_FOLDER / entry.name).hash})
            for entry, part in inside
        )
        return write_card(
            folder, card.model_copy(update={"composite": card.composite.model_copy(update={"parts": entries})})
        )
    done = () if entry is None else (entry.folder,)
    for path in package.files():
        if path.parts[0] not in done and path.name != CARD_FILE:
            (folder / path).parent.mkdir(exist_ok=True)
            shutil.copyfile(package.folder / path, folder / path)
    return write_card(folder, card)


def public_card(card: ModelCard) -> ModelCard:
    """Return the card with hashes of case names, by which a case is still recognized, and a command without paths."""
    training = card.training
    hidden = {name: tuple(sorted(map(hidden_name, getattr(training, name)))) for name in ("held_out", "trained_on")}
    command = public_command(training.command)
    return card.model_copy(update={"training": training.model_copy(update={**hidden, "command": command})})


def public_command(command: str) -> str:
    """Return a command line with the names of options in place of paths, and of what else could be one.

    Examples
    --------
    >>> public_command("medseg train /data/Doe --out=runs/x --epochs=3 --config hippocampus")
    'medseg train DATASET --out=OUT --epochs=3 --config hippocampus'
    """
    try:
        words = shlex.split(command)
    except ValueError:
        return "medseg"
    shown: list[str] = []
    for place, word in enumerate(words):
        name, equals, value = word.partition("=")
        if place == 0 or (place == 1 and word.isalpha()):
            shown.append(Path(word).name)
        elif word.startswith("--") and equals:
            shown.append(f"{name}={name.strip('-').upper()}" if _is_path(value) or name == "--out" else word)
        elif word.startswith("-"):
            shown.append(word)
        elif shown[-1] in ("--out", "-o"):
            shown.append("OUT")
        elif not shown[-1].startswith("-"):
            shown.append("DATASET")
        else:
            shown.append(shown[-1].strip("-").upper() if _is_path(word) else word)
    return " ".join(shown)


def _is_path(text: str) -> bool:
    return "/" in text or os.sep in text or Path(text).exists()
