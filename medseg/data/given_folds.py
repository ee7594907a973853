"""Takes the folds that nnU-Net's `splits_final.json` gives: for each, the names trained on and those held out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from medseg.config.safe_json import parse_json
from medseg.data.dataset import Dataset
from medseg.errors import InputError, first_line

FILE = "splits_final.json"
FIX = "Write it again, or remove it to split by folds of medseg's own."


def with_given_folds(data: Dataset) -> Dataset:
    """Return the dataset with the folds that a `splits_final.json` in its folder gives; without one as it is."""
    file = data.folder / FILE
    if not file.is_file():
        return data
    folds = _read(file)
    known = {case.case_id for case in data.cases}
    for number, fold in enumerate(folds):
        for part in fold.values():
            if missing := sorted(set(part) - known):
                raise InputError(
                    f"fold {number} names '{missing[0]}', which is no case of the dataset",
                    where=file,
                    fix="Correct the name, or remove the file to split by folds of medseg's own.",
                )
        if both := sorted(set(fold["train"]) & set(fold["val"])):
            raise InputError(
                f"fold {number} has '{both[0]}' on both sides", where=file, fix="Take it out of 'train' or of 'val'."
            )
    sides = [{**dict.fromkeys(f["train"], "train"), **dict.fromkeys(f["val"], "validation")} for f in folds]

    def parts(case_id: str) -> tuple[Literal["train", "validation"] | None, ...]:
        return tuple(side.get(case_id) for side in sides)  # type: ignore[misc]

    return replace(data, cases=tuple(replace(case, folds=parts(case.case_id)) for case in data.cases))


def _read(file: Path) -> list[dict[str, list[str]]]:
    try:
        content: Any = parse_json(file.read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read ({first_line(error)})", where=file, fix=FIX) from error
    valid = isinstance(content, list) and content and all(_is_fold(fold) for fold in content)
    if not valid:
        raise InputError("is no list of folds, each with 'train' and 'val'", where=file, fix=FIX)
    return [{"train": fold["train"], "val": fold["val"]} for fold in content]


def _is_fold(fold: Any) -> bool:
    return isinstance(fold, dict) and all(
        isinstance(fold.get(part), list) and all(isinstance(name, str) for name in fold[part])
        for part in ("train", "val")
    )
