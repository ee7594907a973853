"""A table of cases: a CSV file, or YAML that also names channels and classes.

The columns `case`, `label`, `group` and `split` are medseg's own, also as others spell them; every other column of
files is a channel or the mask of a class, and holds the path of a file or of a DICOM series folder. Paths start from
the table's folder.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from medseg.config.load import build, read_yaml
from medseg.data.dataset import Dataset
from medseg.data.description import ClassRow, DatasetDescription
from medseg.data.mask_colors import UNNAMED, guessed_colors
from medseg.data.table_dataset import TableDataset, build_dataset
from medseg.data.table_rows import mask_columns, own_columns, read_rows
from medseg.data.tables_beside import lists_of_cases
from medseg.errors import ConfigError

FILES = ("dataset.yaml", "dataset.yml", "dataset.csv")


def recognize(path: Path) -> bool:
    """Whether it is a CSV or YAML file, or a folder with a `dataset.csv`, `dataset.yaml` or one other list of cases."""
    return _file(path) is not None


def read(path: Path, stated: DatasetDescription | None = None) -> Dataset:
    """Read a dataset from its table.

    - `stated`: what a person says of a CSV file; YAML says it itself.
    """
    file = _file(path)
    assert file is not None
    given: DatasetDescription
    if file.suffix.lower() in (".csv", ".tsv"):
        given, rows, source = stated or DatasetDescription(), read_rows(file), file
    else:
        if stated is not None:
            raise ConfigError(
                "a dataset of layout 'table' has its own description",
                where="dataset",
                fix=f"Remove 'dataset' and change {file.name}.",
            )
        table = build(TableDataset, read_yaml(file), where=file)
        given, source = table, file
        if isinstance(table.cases, str):
            source = file.parent / table.cases
            rows = read_rows(source)
        else:
            rows = [{k: "" if v is None else str(v) for k, v in row.items()} for row in table.cases]
    kept = (*(given.channels or {}), *given.columns)
    rows = own_columns(rows, source.parent, kept)
    read_as: tuple[str, ...] = () if file == path or file.name in FILES else (f"cases: the rows of {file.name}",)
    if given.labels is None and (masks := mask_columns(rows, kept)):
        labels = {name: ClassRow(value=n, column=column) for n, (column, name) in enumerate(masks.items(), start=1)}
        given = given.model_copy(update={"labels": labels})
        read_as += (f"each of the columns {', '.join(masks)} holds the mask of a class",)
    drawn = [source.parent / row["label"] for row in rows if row.get("label")]
    colored = guessed_colors(drawn, given)
    given = colored or given
    name = file.stem if file.name not in FILES else file.parent.resolve().name
    ambiguous = (UNNAMED,) if colored is not None else ()
    data = build_dataset(given, rows, source, name=name)
    return replace(data, read_as=read_as, ambiguous=(*ambiguous, *data.ambiguous))


def _file(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix.lower() in (".csv", ".tsv", ".yaml", ".yml") else None
    if found := next((path / name for name in FILES if (path / name).is_file()), None):
        return found
    lists = [] if (path / "dataset.json").exists() else lists_of_cases(path)
    return lists[0] if len(lists) == 1 else None
