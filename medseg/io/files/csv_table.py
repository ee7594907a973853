"""The one reader of tables whose first row names the columns: whatever the text holds, it is read or a `ValueError`."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable


def columns_and_rows(
    lines: Iterable[str], dialect: str | type[csv.Dialect] = "excel"
) -> tuple[list[str], list[dict[str, str]]]:
    """Return the columns, and each row's cells by column; those that a row lacks are empty.

    Raises
    ------
    ValueError
        When it is no such table, two columns have one name, or a row has more cells than there are columns.
    """
    reader = csv.DictReader(lines, dialect=dialect, restval="")
    try:
        columns = list(reader.fieldnames or ())
        rows = list(reader)
    except csv.Error as error:
        raise ValueError(str(error)) from error
    times = Counter(name.strip() for name in columns)
    if twice := next((name for name, count in times.items() if name and count > 1), None):
        raise ValueError(f"two columns are called '{twice}'")
    for number, row in enumerate(rows, start=2):
        if any(row.pop(None, [])):
            raise ValueError(f"row {number} has more cells than there are columns")
    return columns, rows


def table_rows(lines: Iterable[str], dialect: str | type[csv.Dialect] = "excel") -> list[dict[str, str]]:
    """Return the rows of a table as `columns_and_rows` does."""
    return columns_and_rows(lines, dialect)[1]
