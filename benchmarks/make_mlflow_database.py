"""Makes medseg/tracking/empty_database.sql from the MLflow that is installed: run it after each new version.

python benchmarks/make_mlflow_database.py [--check]

`--check` writes nothing and exits with 1 where the file is not what the installed MLflow makes.
"""

from __future__ import annotations

import argparse
import sqlite3
import sys
from contextlib import closing

from medseg.tracking.database import made_by_mlflow
from medseg.tracking.shipped_database import STATEMENTS


def statements() -> str:
    """SQL that makes the installed MLflow's empty database."""
    with made_by_mlflow() as empty, closing(sqlite3.connect(empty)) as connection:
        lines = (line.rstrip() for line in "\n".join(connection.iterdump()).splitlines())
        return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    made = statements()
    if parser.parse_args().check:  # MLflow makes indexes and constraints in any order
        sys.exit(sorted(STATEMENTS.read_text(encoding="utf-8").splitlines()) != sorted(made.splitlines()))
    STATEMENTS.write_text(made, encoding="utf-8")
