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

from medseg import resources
from medseg.config.load import build, read_yaml
from medseg.errors import ConfigError, ModelError, UsageError, did_you_mean, first_line
from medseg.io.files.atomic import atomic_path, write_text
from medseg.models.card import ModelCard
from medseg.models.card_format1 import upgrade
from medseg.models.composite_card import PARTS_FOLDER
from medseg.models.locate_card import LOCATE_FOLDER
from medseg.models.store import stored, unpacked
from medseg.models.unzip import zip_names
from medseg.types import ModelIdentity

if TYPE_CHECKING:
    import torch


CARD_FILE = "model.yaml"
# The network as ONNX, where it has been exported into the package, and how well that agrees; see medseg.infer.
ONNX_FILE = "model.onnx"
REPORT_FILE = "model.onnx.json"


@dataclass(frozen=True, repr=False)
class ModelPackage:
    """A model package whose card has been read and whose weights have not."""

    folder: Path
    card: ModelCard

    def __repr__(self) -> str:
        return f"ModelPackage('{self.card.name}', version='{self.card.version}', folder='{self.folder}')"

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the card's bytes; the card holds the hash of the weights, so this covers both."""
        try:
            return hashlib.sha256((self.folder / CARD_FILE).read_bytes()).hexdigest()
        except OSError as error:  # it was there when the card was read
            raise ModelError(
                f"its {CARD_FILE} cannot be read any more ({first_line(error)})",
                where=f"model {self.card.name}",
                fix="Put the package back where it was.",
            ) from error

    @cached_property
    def network_hash(self) -> str:
        """SHA-256 of all that decides what the network computes for a window; exports of it belong to this.

        It stays the same, other than `hash`, when something is added to the card.
        """
        card = self.card
        facts = {
            "weights": card.weights_sha256,
            # Without defaults, so that a version of medseg that knows more of them finds the same.
            "network": card.network.model_dump(mode="json", exclude_defaults=True),
            "members": card.ensemble_members,
            "shape": [card.channels, card.n_outputs, *card.input.patch],
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    @property
    def identity(self) -> ModelIdentity:
        """Name, version and hash, as written into every result."""
        return ModelIdentity(self.card.name, self.card.version, self.hash)

    @property
    def weights_path(self) -> Path:
        """The file that holds the weights and, for a network that comes whole, the network."""
        return self.folder / self.card.weights_file

    @cached_property
    def low_resolution_stage(self) -> ModelPackage | None:
        """The package of the low-resolution stage of a cascade, None where this is none."""
        if self.card.low_resolution_stage is None:
            return None
        package = _read(self.folder / self.card.low_resolution_stage.folder)
        if package.hash != self.card.low_resolution_stage.sha256:
            raise ModelError(
                "the low-resolution stage is not the one the card describes (SHA-256 differs)",
                where=package.folder,
                fix="Copy the whole package folder again; do not edit or mix packages.",
            )
        return package

    @cached_property
    def parts(self) -> tuple[ModelPackage, ...]:
        """The packages of a composite's parts, in order; none where this is no composite."""
        entries = () if self.card.composite is None else self.card.composite.parts
        parts = tuple(_read(self.folder / PARTS_FOLDER / entry.name) for entry in entries)
        for entry, part in zip(entries, parts, strict=True):
            if part.hash != entry.sha256:
                raise ModelError(
                    f"the part '{entry.name}' is not the one the card describes (SHA-256 differs)",
                    where=part.folder,
                    fix="Copy the whole package folder again; do not edit or mix packages.",
                )
            if part.card.composite is not None:
                raise ModelError(
                    f"the part '{entry.name}' is a composite itself",
                    where=part.folder,
                    fix="Name that one's own parts instead.",
                )
        return parts

    def content(self) -> bytes:
        """Read the weights file after checking its hash."""
        if self.card.composite is not None:
            raise ModelError(
                f"'{self.card.name}' consists of other models and has no weights of its own",
                where=self.folder,
                fix=f"Name one of its parts, such as {self.folder / PARTS_FOLDER / self.card.composite.parts[0].name}.",
            )
        path = self.weights_path
        if not path.is_file():
            raise ModelError("the weights are missing", where=path, fix="Copy the whole package folder again.")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.card.weights_sha256:
            raise ModelError(
                "the weights are not the ones the card describes (SHA-256 differs)",
                where=path,
                fix="Copy the whole package folder again; do not edit or mix packages.",
            )
        return content

    def weights(self) -> dict[str, torch.Tensor]:
        """Read the weights after checking their hash."""
        from safetensors import SafetensorError
        from safetensors.torch import load

        content = self.content()
        try:
            weights: dict[str, torch.Tensor] = load(content)
        except SafetensorError as error:
            raise ModelError(
                f"the weights are not safetensors ({error})",
                where=self.weights_path,
                fix="Copy the package again from where it was made.",
            ) from error
        return weights

    def files(self) -> list[Path]:
        """Everything the package consists of, relative to its folder, the card last; checked against the card."""
        if self.card.composite is not None:
            folders = [part.folder.relative_to(self.folder) for part in self.parts]
            named = zip(folders, self.parts, strict=True)
            return [*(folder / path for folder, part in named for path in part.files()), Path(CARD_FILE)]
        self.content()
        inner: list[Path] = []
        if self.low_resolution_stage is not None:
            folder = self.low_resolution_stage.folder.relative_to(self.folder)
            inner = [folder / path for path in self.low_resolution_stage.files()]
        precisions = [name for measured in self.card.precisions.values() for name in measured.files]
        exported = [name for name in (ONNX_FILE, REPORT_FILE) if (self.folder / name).is_file()]
        locator = [Path(LOCATE_FOLDER) / name for name in (self.card.locate.files if self.card.locate else ())]
        return [*inner, *locator, *map(Path, (*exported, *precisions, self.card.weights_file, CARD_FILE))]


def load_package(name_or_path: str | Path) -> ModelPackage:
    """Find a model by shipped name or folder and read its card.

    - `name_or_path`: a shipped name such as ``"hippocampus"``, the name of an imported model, a package folder or zip,
      or ``models:/NAME@alias`` of MLflow's registry.
    """
    return _read(_find(name_or_path))


def _read(folder: Path) -> ModelPackage:
    path = folder / CARD_FILE
    try:
        content = read_yaml(path)
        card = build(ModelCard, upgrade(content) if content.get("format_version") == 1 else content)
    except ConfigError as error:
        fix = f"{error.fix or ''} Correct the card, or point to a package folder made by medseg train."
        raise ModelError(error.what, where=path, fix=fix) from error
    if Path(card.weights_file).name != card.weights_file:
        raise ModelError(
            "weights_file must be a plain file name inside the package",
            where=path,
            fix="Copy the package again from where it was made.",
        )
    return ModelPackage(folder, card)


def write_package(folder: Path, card: ModelCard, weights: Mapping[str, torch.Tensor]) -> ModelPackage:
    """Write a package; the card, written last, makes it one.

    - `card`: its ``weights_sha256`` is computed here, whatever it was.
    """
    return write_content(folder, card, weights_content(weights))


def weights_content(weights: Mapping[str, torch.Tensor]) -> bytes:
    """Content of the weights file of a package."""
    from safetensors.torch import save

    content: bytes = save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()})
    return content


def write_content(folder: Path, card: ModelCard, content: bytes) -> ModelPackage:
    """Write a package around the content of its weights file; otherwise as `write_package`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CARD_FILE).unlink(missing_ok=True)
    card = card.model_copy(update={"weights_sha256": hashlib.sha256(content).hexdigest()})
    with atomic_path(folder / card.weights_file) as part:
        part.write_bytes(content)
    return write_card(folder, card)


def write_card(folder: Path, card: ModelCard) -> ModelPackage:
    """Write a package's card, or write it again with something added."""
    text = yaml.safe_dump(card.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)
    write_text(folder / CARD_FILE, text)
    return ModelPackage(folder, card)


def holds_package(path: Path) -> bool:
    """Whether a folder or zip is a package of medseg."""
    if path.is_dir():
        return (path / CARD_FILE).is_file()
    return any(n == CARD_FILE or (n.count("/") == 1 and n.endswith(f"/{CARD_FILE}")) for n in zip_names(path))


def _find(name_or_path: str | Path) -> Path:
    path = Path(name_or_path)
    if (path / CARD_FILE).is_file():
        return path.resolve()
    known = {**stored(), **resources.models()}
    if str(name_or_path) in known:
        return known[str(name_or_path)]
    if path.is_file():
        return unpacked(path, lambda folder: _read(folder).files())
    if path.is_dir():
        raise UsageError(
            f"the folder is no model package, because it has no {CARD_FILE}",
            where=path,
            fix="Name OUT/model of a training run.",
        )
    if len(path.parts) > 1:
        raise UsageError(
            "there is no such model package", where=path, fix="Name OUT/model of a training run that came to its end."
        )
    raise UsageError(
        f"there is no model called '{name_or_path}'",
        fix=f"{did_you_mean(str(name_or_path), known)} Use one of {', '.join(sorted(known)) or 'none shipped'}, or the "
        "path of a package folder or zip.",
    )
