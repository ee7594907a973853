"""A trained model on disk: `model.yaml` and `weights.safetensors` in a folder, loaded without running foreign code."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from pydantic import ValidationError

from medseg import resources
from medseg.errors import ModelError
from medseg.io.atomic import atomic_path, write_text
from medseg.models.card import ModelCard
from medseg.models.store import stored, unpacked
from medseg.types import ModelIdentity

if TYPE_CHECKING:
    import torch

__all__ = ["ModelPackage", "load_package", "write_card", "write_package"]

CARD_FILE = "model.yaml"
# The network as ONNX, where it has been exported into the package, and how well that agrees; see medseg.infer.
ONNX_FILE = "model.onnx"
REPORT_FILE = "model.onnx.json"


@dataclass(frozen=True)
class ModelPackage:
    """A model package whose card has been read and whose weights have not.

    Parameters
    ----------
    folder : Path
        Where it lies.
    card : ModelCard
        Its card.
    """

    folder: Path
    card: ModelCard

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the card's bytes; the card holds the hash of the weights, so this covers both."""
        return hashlib.sha256((self.folder / CARD_FILE).read_bytes()).hexdigest()

    @cached_property
    def network_hash(self) -> str:
        """SHA-256 of all that decides what the network computes for a window; exports of it belong to this.

        Unlike `hash` it stays the same when something is added to the card.
        """
        card = self.card
        facts = {
            "weights": card.weights_sha256,
            "network": card.network.model_dump(mode="json"),
            "members": card.members,
            "shape": [len(card.input.channels), card.scores, *card.input.patch],
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @property
    def identity(self) -> ModelIdentity:
        """Name, version and hash, as written into every result."""
        return ModelIdentity(self.card.name, self.card.version, self.hash)

    def weights(self) -> dict[str, torch.Tensor]:
        """Read the weights after checking their hash.

        Raises
        ------
        ModelError
            When the file is missing, its hash is not the card's, or it is not safetensors.
        """
        from safetensors import SafetensorError
        from safetensors.torch import load

        path = self.folder / self.card.weights_file
        if not path.is_file():
            raise ModelError("the weights are missing", where=path, fix="Copy the whole package folder again.")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.card.weights_sha256:
            raise ModelError(
                "the weights are not the ones the card describes (SHA-256 differs)",
                where=path,
                fix="Copy the whole package folder again; do not edit or mix packages.",
            )
        try:
            weights: dict[str, torch.Tensor] = load(content)
        except SafetensorError as error:
            raise ModelError(f"the weights are not safetensors ({error})", where=path) from error
        return weights


def load_package(name_or_path: str | Path) -> ModelPackage:
    """Find a model by shipped name or folder and read its card.

    Parameters
    ----------
    name_or_path : str or Path
        A shipped name such as ``"hippocampus"``, the name of an imported model, or a package folder or zip.

    Raises
    ------
    ModelError
        When there is no such model or its card is not valid.
    """
    folder = _find(name_or_path)
    path = folder / CARD_FILE
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ModelError(
            f"the card cannot be read ({error})",
            where=path,
            fix="Point to a package folder made by medseg train.",
        ) from error
    try:
        card = ModelCard.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "the whole card"
        raise ModelError(f"{key}: {first['msg']}", where=path, fix="Correct the card, or train again.") from error
    if Path(card.weights_file).name != card.weights_file:
        raise ModelError("weights_file must be a plain file name inside the package", where=path)
    return ModelPackage(folder, card)


def write_package(folder: Path, card: ModelCard, weights: Mapping[str, torch.Tensor]) -> ModelPackage:
    """Write a package; the card, written last, makes it one.

    Parameters
    ----------
    folder : Path
        Made if missing; a package in it is replaced.
    card : ModelCard
        Its ``weights_sha256`` is computed here, whatever it was.
    weights : mapping of str to Tensor
        The state dict.
    """
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD_FILE).unlink(missing_ok=True)
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    card = card.model_copy(update={"weights_sha256": hashlib.sha256(content).hexdigest()})
    with atomic_path(folder / card.weights_file) as part:
        part.write_bytes(content)
    return write_card(folder, card)


def write_card(folder: Path, card: ModelCard) -> ModelPackage:
    """Write a package's card, or write it again with something added."""
    text = yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    write_text(folder / CARD_FILE, text)
    return ModelPackage(folder, card)


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if (path / CARD_FILE).is_file():
        return path.resolve()
    known = {**stored(), **resources.models()}
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    if path.is_file():
        return unpacked(path)
    if path.is_dir():
        raise ModelError(f"the folder has no {CARD_FILE}", where=path, fix="Point to OUT/model of a training run.")
    raise ModelError(
        f"there is no model called '{name_or_path}'",
        fix=f"Use one of {', '.join(sorted(known)) or 'none shipped'}, or the path of a package folder or zip.",
    )
