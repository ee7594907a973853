"""How MLflow is reached: where runs are kept, without telemetry, and with errors in one line.

Runs go to ``OUT/mlflow.db`` unless ``MLFLOW_TRACKING_URI`` names a place.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from medseg.tracking.database import make_ready


def tracking_uri(workspace: Path) -> str:
    """Address of the tracking server, or of the database in a folder, which is made."""
    workspace = workspace.resolve()
    workspace.mkdir(parents=True, exist_ok=True)
    if server := os.environ.get("MLFLOW_TRACKING_URI"):
        return server
    database = workspace / "mlflow.db"
    make_ready(database)
    return f"sqlite:///{database.as_posix()}"


def is_remote(uri: str) -> bool:
    """Whether what is recorded at an address leaves this machine's files."""
    return (uri.partition(":")[0] not in ("sqlite", "file") and "://" in uri) or uri.startswith("databricks")


def silence() -> None:
    """Keep MLflow from calling home and from writing a line for each migration of its database."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("DO_NOT_TRACK", "true")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    logging.getLogger("alembic").setLevel(logging.WARNING)
