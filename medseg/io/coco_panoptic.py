"""COCO's panoptic format for pictures: a PNG whose colors are ids, and one JSON file for all of them."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from medseg.errors import FormatLimitation, InputError
from medseg.io import picture
from medseg.io.files.atomic import write_bytes, write_text
from medseg.types import Geometry, Instances, LabelClass, LabelTable
from medseg.types.instances import InstanceRow

__all__ = ["JSON", "read_coco_panoptic", "write_coco_panoptic"]

JSON, PICTURES = "panoptic.json", "panoptic"
LARGEST_ID = (1 << 24) - 1


def write_coco_panoptic(cases: Mapping[str, Instances], folder: Path) -> None:
    """Write ``panoptic.json`` and ``panoptic/<case_id>.png``.

    Parameters
    ----------
    cases : mapping of str to Instances
        Flat ones, shape (X, Y, 1): x runs along the columns of the picture and y down its rows, as pictures are read.
    folder : Path
        Where everything goes.

    Raises
    ------
    FormatLimitation
        For a volume, or ids that 24 bits of color cannot hold.
    InputError
        When two cases give one class value different names, or a case id is no file name.
    """
    images, annotations = [], []
    categories: dict[int, dict[str, Any]] = {}
    for number, (case_id, instances) in enumerate(cases.items(), start=1):
        name = _png_name(f"{case_id}.png")
        width, height, _ = _flat_shape(instances, case_id)
        images.append({"id": number, "file_name": name, "width": width, "height": height})
        segments = [_segment(instances, row) for row in instances.rows]
        annotations.append({"image_id": number, "file_name": name, "segments_info": segments})
        _add_categories(categories, instances.table, case_id)
        write_bytes(folder / PICTURES / name, _png(instances.ids[:, :, 0].T))
    content = {
        "info": {"description": "medseg"},
        "images": images,
        "annotations": annotations,
        "categories": [categories[value] for value in sorted(categories)],
    }
    write_text(folder / JSON, json.dumps(content, indent=1) + "\n")


def read_coco_panoptic(folder: Path) -> dict[str, Instances]:
    """Read what `write_coco_panoptic` or another tool wrote; one pixel is taken as 1 mm.

    Raises
    ------
    InputError
        When a file is missing or damaged, or a picture and its list of segments do not belong together.
    """
    path = folder / JSON
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        table = LabelTable(
            tuple(
                LabelClass(
                    int(item["id"]),
                    str(item["name"]),
                    color=_color(item.get("color", (255, 0, 0))),
                    is_thing=bool(item["isthing"]),
                )
                for item in content["categories"]
            )
        )
        listed = [(_png_name(item["file_name"]), list(item["segments_info"])) for item in content["annotations"]]
        things = {item.value: item.is_thing for item in table}
        return {
            PurePath(name).stem: _instances(folder / PICTURES / name, parts, table, things) for name, parts in listed
        }
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"it is not a COCO panoptic file ({error!r})", where=path) from error


def _flat_shape(instances: Instances, case_id: str) -> tuple[int, int, int]:
    shape = instances.geometry.shape
    if shape[2] != 1:
        raise FormatLimitation(
            f"COCO holds pictures, and the grid has shape {shape}", where=case_id, fix="Write instances.nii.gz instead."
        )
    if any(row.id > LARGEST_ID for row in instances.rows):
        raise FormatLimitation(f"COCO holds ids up to {LARGEST_ID}", where=case_id, fix="Number the objects from 1.")
    return shape


def _segment(instances: Instances, row: InstanceRow) -> dict[str, Any]:
    if row.measures is not None:
        (x, y, _), (x_end, y_end, _) = row.measures.start, row.measures.stop
    else:
        xs, ys, _ = np.nonzero(instances.ids == row.id)
        x, y, x_end, y_end = int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1
    segment: dict[str, Any] = {
        "id": row.id,
        "category_id": row.class_value,
        "iscrowd": 0,
        "bbox": [x, y, x_end - x, y_end - y],
        "area": row.voxels,
    }
    return segment if row.score is None else {**segment, "score": row.score}


def _add_categories(categories: dict[int, dict[str, Any]], table: LabelTable, case_id: str) -> None:
    for item in table:
        entry = {
            "id": item.value,
            "name": item.name,
            "supercategory": item.name,
            "isthing": int(item.is_thing),
            "color": list(item.color),
        }
        known = categories.setdefault(item.value, entry)
        if (known["name"], known["isthing"]) != (entry["name"], entry["isthing"]):
            raise InputError(
                f"class {item.value} is {known['name']} in one case and {item.name} in another",
                where=case_id,
                fix="Write cases with the same label table together.",
            )


def _png(ids: npt.NDArray[np.int32]) -> bytes:
    """Rows and columns of ids as PNG: red + 256 green + 65536 blue."""
    colors = np.stack([(ids >> shift) & 255 for shift in (0, 8, 16)], axis=-1).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(colors).save(stream, format="PNG")
    return stream.getvalue()


def _instances(path: Path, segments: list[Any], table: LabelTable, things: dict[int, bool]) -> Instances:
    colors = picture.read_scan(path).array.astype(np.int32)
    if len(colors) != 3:
        raise InputError("a panoptic picture has three colors", where=path)
    ids = colors[0] + 256 * colors[1] + 65536 * colors[2]
    voxels = dict(zip(*(part.tolist() for part in np.unique(ids[ids > 0], return_counts=True)), strict=True))
    parts = sorted(segments, key=lambda part: int(part["id"]))
    if [int(part["id"]) for part in parts] != list(voxels):
        raise InputError(f"it holds {len(voxels)} ids, and {JSON} lists {len(parts)}, not all the same", where=path)
    rows = tuple(
        InstanceRow(
            int(part["id"]),
            int(part["category_id"]),
            things[int(part["category_id"])],
            voxels[int(part["id"])],
            float(part["score"]) if "score" in part else None,
        )
        for part in parts
    )
    return Instances(ids, Geometry(np.eye(4), (ids.shape[0], ids.shape[1], ids.shape[2])), rows, table)


def _color(color: Any) -> tuple[int, int, int]:
    red, green, blue = (int(part) for part in color)
    return red, green, blue


def _png_name(name: str) -> str:
    """Return a name that stays within its folder."""
    if PurePath(name).name != name or "\\" in name or not name.endswith(".png"):
        raise InputError(f"{name!r} is not the name of a PNG file")
    return name
