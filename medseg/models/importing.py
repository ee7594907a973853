"""Brings other people's models into the store as packages."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Literal

from medseg.counted import counted
from medseg.errors import FormatLimitation, UsageError
from medseg.io.files.atomic import atomic_folder, atomic_path
from medseg.models.fit import check_package, check_weights
from medseg.models.license_card import LicenseCard, Use
from medseg.models.package import (
    CARD_FILE,
    ModelPackage,
    holds_package,
    load_package,
    write_card,
    write_content,
    write_package,
)
from medseg.models.store import new_folder, unpacked_for_now
from medseg.models.trust import trust as remember_trust

KINDS = (
    "a results folder or exported zip of nnU-Net v2, a MONAI bundle, a TorchScript, ONNX, safetensors or state-dict "
    "file, or a package of medseg"
)


def import_model(
    path: Path,
    name: str,
    *,
    out: Path | None = None,
    card: Path | None = None,
    trust: bool = False,
    configuration: str | None = None,
    folds: Sequence[str] | None = None,
    checkpoint: str | None = None,
    orientation: Literal["RAS", "stored"] | None = None,
    license_use: Use | None = None,
    overwrite: bool = False,
) -> ModelPackage:
    """Import a trained model without running any code that comes with it.

    - `path`: a results folder or exported zip of nnU-Net version 2, a MONAI bundle, a TorchScript, ONNX, safetensors or
      state-dict file, or a package of medseg.
    - `out`: a folder for the package; by default the user's store, where ``--model`` finds it by name.
    - `card`: YAML with any part of a model card, which overrules the files. For single files the
      YAML of the same name beside them serves, where there is one. Not for nnU-Net, whose files tell everything.
    - `trust`: allow a TorchScript program to be run on this machine from now on.
    - `configuration`, `folds`, `checkpoint`, `orientation`: for nnU-Net; see
      `medseg.models.adapters.nnunet.import_nnunet`.
    - `license_use`: how the weights may be used, for the card; by default as the files or `card` say.
    """
    package = _import(
        path,
        name,
        out=out,
        card=card,
        trust=trust,
        configuration=configuration,
        folds=folds,
        checkpoint=checkpoint,
        orientation=orientation,
        overwrite=overwrite,
    )
    if license_use is None:
        return package
    return write_card(package.folder, package.card.model_copy(update={"license": LicenseCard(use=license_use)}))


def _import(
    path: Path,
    name: str,
    *,
    out: Path | None,
    card: Path | None,
    trust: bool,
    configuration: str | None,
    folds: Sequence[str] | None,
    checkpoint: str | None,
    orientation: Literal["RAS", "stored"] | None,
    overwrite: bool,
) -> ModelPackage:
    check_name(name)
    if not path.exists():
        raise UsageError("there is no such file or folder", where=path, fix="Check the path.")
    from medseg.models.adapters import nnunet, totalsegmentator

    if holds_package(path):
        if card is not None:
            raise UsageError("a package of medseg has its own card", where=f"--card {card}", fix="Omit --card.")
        with unpacked_for_now(path) if path.is_file() else nullcontext(path) as folder:
            return _copy(load_package(folder), name, out, trust=trust, overwrite=overwrite)
    as_nnunet = configuration or folds or checkpoint or orientation  # then it is taken for any other model of nnU-Net
    described = None if as_nnunet else totalsegmentator.describe(path)
    if described is not None:
        from medseg.models.composing import compose

        folder = _destination(name, out, overwrite=overwrite)
        return compose(described, name, folder, base=path, replace=out is None or holds_package(folder))
    if nnunet.is_nnunet(path):
        folder = _destination(name, out, overwrite=overwrite)
        with _whole(folder) as part:
            nnunet.import_nnunet(
                path,
                name,
                part,
                configuration=configuration,
                folds=folds,
                checkpoint=checkpoint or nnunet.CHECKPOINT,
                orientation=orientation,
            )
        return load_package(folder)
    return _import_foreign(path, name, out, card, trust=trust, overwrite=overwrite)


def import_composite(
    path: Path, name: str, *, out: Path | None = None, license_use: Use | None = None, overwrite: bool = False
) -> ModelPackage:
    """Make one model of several, as a YAML file describes them; see `medseg.models.composite_description`."""
    from medseg.models.composing import compose
    from medseg.models.composite_description import read_description

    check_name(name)
    description = read_description(path)
    if license_use is not None:
        description = description.model_copy(update={"license": LicenseCard(use=license_use)})
    folder = _destination(name, out, overwrite=overwrite)
    return compose(description, name, folder, base=path.resolve().parent, replace=out is None or holds_package(folder))


def check_name(name: str) -> None:
    """Refuse what `--model` could not take for a name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise UsageError(f"'{name}' cannot be a model's name", fix="Use letters, digits, '_', '.' and '-'.")


def _import_foreign(
    path: Path, name: str, out: Path | None, card_path: Path | None, *, trust: bool, overwrite: bool
) -> ModelPackage:
    from medseg.models.adapters import bare_files, monai_bundle
    from medseg.models.adapters.foreign_card import card_beside, complete, read_facts

    facts = read_facts(card_path or (card_beside(path) if path.is_file() else None))
    if monai_bundle.is_bundle(path):
        found = monai_bundle.read_bundle(path, facts)
    elif path.suffix == ".onnx":
        found = bare_files.read_onnx(path)
    elif bare_files.is_torchscript(path):
        found = bare_files.read_torchscript(path, facts)
    elif path.is_file() and path.suffix in bare_files.WEIGHTS:
        found = bare_files.read_bare(path, facts)
    else:
        raise FormatLimitation("it is not a kind of model that medseg imports", where=path, fix=f"Give {KINDS}.")
    card = complete(found, facts, name, path.name)
    if card.network.name == "torchscript" and not trust:
        raise UsageError(
            "it is a TorchScript program, which can read and write files when it runs",
            where=path,
            fix="If you trust its source, add --trust; otherwise ask for ONNX or plain weights.",
        )
    if found.whole is None:
        assert found.weights is not None
        fix = "Describe the network they were trained in, under network: in --card."
        check_weights(card, found.weights, path, fix=fix)
        folder = _destination(name, out, overwrite=overwrite)
        with _whole(folder) as part:
            write_package(part, card, found.weights)
        return load_package(folder)
    folder = _destination(name, out, overwrite=overwrite)
    file = "weights.onnx" if card.network.name == "onnx" else "weights.ts"
    with _whole(folder) as part:
        write_content(part, card.model_copy(update={"weights_file": file}), found.whole)
    package = load_package(folder)
    if trust:
        remember_trust(package.card.weights_sha256)
    return package


def _copy(package: ModelPackage, name: str, out: Path | None, *, trust: bool, overwrite: bool) -> ModelPackage:
    """Copy a package of medseg into the store, unchanged but for where it lies."""
    if out is not None and out.resolve() == package.folder.resolve():
        return package
    folder = _destination(name, out, overwrite=overwrite)
    files = package.files()
    check_package(package)
    if package.card.network.name == "torchscript":
        if not trust:
            raise UsageError(
                "the package holds a TorchScript program, which can read and write files when it runs",
                where=package.folder,
                fix="If you trust its source, add --trust.",
            )
        remember_trust(package.card.weights_sha256)
    if folder.resolve() == package.folder.resolve():
        return load_package(folder)
    with _whole(folder) as part:
        _copy_files(package, files, part)
    return load_package(folder)


def _destination(name: str, out: Path | None, *, overwrite: bool) -> Path:
    """Folder for a package, the user's or that of the name in the store; a model in it is replaced if that is asked."""
    if out is None:
        return new_folder(name, overwrite=overwrite)
    if not (out / CARD_FILE).is_file():
        return out
    if not overwrite:
        raise UsageError("there is a model in it", where=f"--out {out}", fix="Choose another --out, or --overwrite.")
    own = {out / path for path in load_package(out).files()}
    if others := [path for path in out.rglob("*") if path.is_file() and path not in own]:
        what = f"besides a model it holds {counted(len(others), 'other file')}, such as {others[0].name}"
        raise UsageError(what, where=f"--out {out}", fix="Choose another --out.")
    return out


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """Give a folder to write a package in, which takes the final one's place at once; or one that has other files."""
    if folder.is_dir() and not (folder / CARD_FILE).is_file() and any(folder.iterdir()):
        yield folder  # the card, written last, makes it a package
    else:
        with atomic_folder(folder) as part:
            yield part


def _copy_files(package: ModelPackage, files: Sequence[Path], folder: Path) -> None:
    for file in files:  # the card comes last and makes it a package
        with atomic_path(folder / file) as part:
            shutil.copyfile(package.folder / file, part)
