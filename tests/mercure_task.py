"""The folders of a task as mercure lays them out."""

import json
import shutil
from pathlib import Path
from typing import Any

import pydicom

PATIENT = {"patient_name": "Doe^Jane", "mrn": "MRN-4711", "acc": "ACC-4711"}


def task(folder: Path, images: Path, settings: dict[str, Any], *, as_list: bool = False) -> Path:
    """Lay out the folders of a task as mercure does; what it sets in the environment is the caller's."""
    (folder / "in").mkdir(parents=True)
    (folder / "out").mkdir()
    for file in sorted(path for path in images.rglob("*") if path.is_file()):
        header = pydicom.dcmread(file, stop_before_pixels=True)
        name = f"{header.SeriesInstanceUID}#{header.SOPInstanceUID}"
        shutil.copyfile(file, folder / "in" / f"{name}.dcm")
        (folder / "in" / f"{name}.tags").write_text(json.dumps({"PatientName": PATIENT["patient_name"]}))
    process: Any = {"module_name": "medseg", "module_config": {"docker_tag": "medseg:1"}, "settings": settings}
    content = {
        "id": "9ad4",
        "info": {"action": "process", "uid": "1.2", "uid_type": "series", "applied_rule": "mr", **PATIENT},
        "process": [process] if as_list else process,
    }
    (folder / "in" / "task.json").write_text(json.dumps(content))
    return folder
