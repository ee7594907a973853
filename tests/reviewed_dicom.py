"""Results of a small DICOM series, as `medseg predict` leaves them, made without a model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from small_labels import MODEL
from small_series import small_series

from medseg.engine import journal
from medseg.engine.run_files import INPUTS_FILE
from medseg.io.discover import discover
from medseg.io.formats import Labeled, write
from medseg.types import Code, LabelClass, LabelMap, LabelTable
from medseg.types.run import CaseOutcome

TABLE = LabelTable(
    (
        LabelClass(
            1, "liver", Code("123037004", "SCT", "Anatomical Structure"), Code("10200004", "SCT", "Liver"), (1, 99, 200)
        ),
        LabelClass(300, "lesion", color=(200, 99, 1)),
    )
)


def make_dicom_results(root: Path, *, formats=("nifti", "dicom-seg"), **series) -> tuple[Path, str, list[Path]]:
    """One series in ``root/series`` and its results in ``root/out``; the folder, the case id, the series' files."""
    source, geometry = small_series(root / "series", **series)
    array = np.zeros(geometry.shape, np.uint16)
    array[2:9, 2:8, 1:5] = 1
    array[4:6, 4:6, 2:4] = 300
    out, case_id = results_of(root, Labeled(LabelMap(array, geometry, TABLE), source, MODEL), formats)
    return out, case_id, list(source.files)


def results_of(root: Path, item: Labeled, formats=("nifti", "dicom-seg")) -> tuple[Path, str]:
    """Results in ``root/out`` of the series in ``root/series``; the folder and the case id."""
    (found,) = discover([root / "series"]).found
    out = root / "out"
    folder = out / found.case_id
    folder.mkdir(parents=True, exist_ok=True)
    for name in formats:
        write(name, item, folder)
    digest = journal.hash_files(found.files)
    journal.finish(folder, "key", digest, CaseOutcome(found.case_id, "done", "series", folder))
    (out / "sources.csv").write_text(
        "case_id,state,series_uid,study_uid,path,input_sha256\n"
        f"{found.case_id},done,{found.series_uid},{found.study_uid},series,{digest}\n"
    )
    (out / INPUTS_FILE).write_text(f'["{root}"]')
    (out / "run.json").write_text(
        f'{{"versions": {{"model": "{MODEL}"}}, "steps": {{"segment": {{"model_sha256": "{MODEL.hash}"}}}}}}'
    )
    return out, found.case_id
