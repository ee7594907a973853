"""Results of the folds of a cross-validation, as their runs and ``cross_validation.json`` hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medseg.config.safe_json import parse_json
from medseg.config.safe_yaml import read_yaml_text
from medseg.counted import counted
from medseg.harmless import name_from_cell
from medseg.io.files.csv_table import table_rows
from medseg.models.package import load_package
from medseg.training.config import TrainConfig
from medseg.training.selection.held_out_volumes import VOLUMES_FILE, read_volumes
from medseg.training.selection.post_choice import NONE, RuleDice, read_rule_dice
from medseg.training.selection.validate import CaseDice


@dataclass(frozen=True, repr=False)
class FoldResults:
    """What ``cross_validation.json`` says of the folds that were measured.

    Parameters
    ----------
    path : Path
        The file.
    cases : int
        Held-out cases.
    mean_dice : float
        Mean over cases of each class, then over classes.
    dice : dict of str to float
        Mean over cases of each class.
    folds : dict of str to float
        Mean Dice of each fold without clean-up.
    """

    path: Path
    cases: int
    mean_dice: float
    dice: dict[str, float]
    folds: dict[str, float]

    def __repr__(self) -> str:
        folds = counted(len(self.folds), "fold")
        return f"FoldResults({folds}, {counted(self.cases, 'case')}, mean_dice={self.mean_dice:.4f})"

    @classmethod
    def read(cls, path: Path) -> FoldResults:
        """Read the file."""
        content = parse_json(path.read_text(encoding="utf-8"))
        return cls(path, content["cases"], content["mean_dice"], content["dice"], content["folds"])


def finished_fold(out: Path, config: TrainConfig) -> list[CaseDice] | None:
    """Results of a fold that was trained and measured with this configuration."""
    card, table, used = out / "model" / "model.yaml", out / "validation.csv", out / "config.yaml"
    if not (card.is_file() and table.is_file() and used.is_file()):
        return None
    if read_yaml_text(used) != config.model_dump(mode="json"):
        return None
    results = fold_dice(table)
    # A fold whose cases are all blocked measures none; in any other the card is written after the table.
    return None if results and load_package(card.parent).card.validation is None else results


def fold_dice(table: Path) -> list[CaseDice]:
    """Dice, panoptic quality and volumes of each case, from the tables of a fold's run."""
    found: dict[str, dict[str, dict[str, float]]] = {"dice": {}, "pq": {}}
    with table.open(newline="", encoding="utf-8") as stream:
        for row in table_rows(stream):
            if row["metric"] in found:
                of_case = found[row["metric"]].setdefault(row["case_id"], {})
                of_case[name_from_cell(row["class"])] = float(row["value"])
    volumes = read_volumes(table.with_name(VOLUMES_FILE))
    return [
        CaseDice(case_id, dice, volumes=volumes.get(case_id, {}), pq=found["pq"].get(case_id, {}))
        for case_id, dice in found["dice"].items()
    ]


def rule_tables(folders: Sequence[Path], results: Sequence[CaseDice]) -> tuple[dict[str, RuleDice], ...]:
    """What clean-ups make of every held-out case; empty where not every case was compared."""
    tables = [folder / "post_rules.csv" for folder in folders if fold_dice(folder / "validation.csv")]
    if not all(table.is_file() for table in tables):
        return ()
    compared = tuple(read_rule_dice(table) for table in tables)
    every = sorted(case for fold in compared for case in fold)
    return compared if every == [one.case_id for one in results] else ()


def tables_without_rules(folders: Sequence[Path]) -> tuple[dict[str, RuleDice], ...]:
    """Dice of every held-out case where no clean-up was compared; folds that measured none are omitted."""
    measured = (fold_dice(folder / "validation.csv") for folder in folders)
    return tuple(
        {one.case_id: {name: {NONE: value} for name, value in one.dice.items()} for one in fold}
        for fold in measured
        if fold
    )
