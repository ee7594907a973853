"""Outlines in text files beside images, which are no label maps: which format they have, and how to draw them."""

from __future__ import annotations

import re
from pathlib import Path

from medseg.data.name_pattern import patterns

# So much of a file is looked at, at its beginning and at its end.
LOOKED_AT = 200_000
MOST_FILES = 20
# The name of each format, what its files hold, and what draws them.
FORMATS = (
    ("COCO's JSON", (r'"annotations"\s*:', r'"categories"\s*:'), "pycocotools' annToMask"),
    ("LabelMe's JSON", (r'"shapes"\s*:', r'"points"\s*:'), "labelme_export_json, or skimage.draw.polygon"),
    ("GeoJSON, as QuPath exports it", (r'"coordinates"\s*:', r'"geometry"\s*:'), "skimage.draw.polygon"),
    ("Aperio ImageScope's XML", (r"<Annotations?\b", r"<Vert(ex|ices)\b"), "skimage.draw.polygon"),
    ("ASAP's XML", (r"<ASAP_Annotations",), "ASAP's multiresolutionimageinterface"),
    ("CVAT's XML", (r"<annotations>", r"<polygon\b"), "CVAT's export as segmentation masks"),
    ("VIA's JSON", (r'"regions"\s*:', r'"shape_attributes"\s*:'), "skimage.draw.polygon"),
)


def outlines(path: Path) -> tuple[str, str] | None:
    """Return what outlines a folder or a file holds and how to make labels of them; None where there are none."""
    inside = (file for ending in ("json", "xml", "geojson") for file in path.rglob(f"*.{ending}"))
    files = [file for file in ([path] if path.is_file() else sorted(inside)) if not file.name.startswith(".")]
    for file in files[:MOST_FILES]:
        text = _ends(file)
        for name, marks, tool in FORMATS:
            if all(re.search(mark, text) for mark in marks):
                alike = [one for one in files if one.suffix == file.suffix]
                shown = [one.name if path.is_file() else one.relative_to(path).as_posix() for one in alike]
                return (
                    f"{patterns(shown)} holds outlines in {name}, which are not read",
                    f"Draw each image's outlines into a label image of its name in a folder labels/, with {tool}: 0 is "
                    "the background, 1, 2, ... are classes; or number each object in a folder instances/.",
                )
    return None


def _ends(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            start = stream.read(LOOKED_AT)
            stream.seek(max(file.stat().st_size - LOOKED_AT, 0))
            return (start + b" " + stream.read(LOOKED_AT)).decode("utf-8", "replace")
    except OSError:
        return ""
