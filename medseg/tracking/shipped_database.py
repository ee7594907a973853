"""An empty MLflow database that comes with medseg, so that a first prediction need not wait for MLflow to make one.

Importing MLflow and bringing a new database through all migrations of its history takes longer than the shipped model
needs for a scan. ``empty_database.sql`` is what came out of that once (`benchmarks/make_mlflow_database.py`). It is
used where the installed MLflow's own migrations end at the same revision, and nowhere else.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from medseg.io.files.atomic import atomic_path

STATEMENTS = Path(__file__).with_name("empty_database.sql")
_REVISION = re.compile(r"""^(down_)?revision\s*=\s*["'](\w+)["']""", re.MULTILINE)
_SHIPPED = re.compile(r"""INSERT INTO "?alembic_version"? VALUES\('(\w+)'\)""")


def write_shipped(path: Path) -> bool:
    """Write the shipped empty database; False where it is not the installed MLflow's, or cannot be written."""
    statements = STATEMENTS.read_text(encoding="utf-8")
    revision = _SHIPPED.search(statements)
    if revision is None or newest_revision() != revision[1]:
        return False
    try:
        with atomic_path(path, keep=True) as part, closing(sqlite3.connect(part)) as connection:
            connection.executescript(statements)
    except (OSError, sqlite3.Error):  # of a full disk, SQLite says so itself
        return False
    return True


def newest_revision() -> str | None:
    """Revision at which the installed MLflow's migrations end, read from their files without importing them.

    None without MLflow, or where its files do not name one end.
    """
    spec = find_spec("mlflow")
    if spec is None or not spec.submodule_search_locations:
        return None
    versions = Path(spec.submodule_search_locations[0]) / "store" / "db_migrations" / "versions"
    found = [_REVISION.findall(path.read_text(encoding="utf-8")) for path in versions.glob("*.py")]
    before = {name for names in found for down, name in names if down}
    ends = {name for names in found for down, name in names if not down} - before
    return ends.pop() if len(ends) == 1 else None
