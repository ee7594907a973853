"""Real data beside the checkout, which is not part of the project; tests on it are marked `needs_data(FOLDER, ...)`."""

from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared"
DATA = SHARED / "data"


def missing(*folders: str) -> str | None:
    """Why a test on these folders of ../shared cannot run; None where they are all there."""
    if not SHARED.is_dir():  # one reason for all, so that it is one line of pytest's summary
        return "needs the real data of ../shared, which is not beside this checkout"
    absent = next((folder for folder in folders if not (SHARED / folder).exists()), None)
    return None if absent is None else f"needs ../shared/{absent}"
