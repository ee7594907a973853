"""Label maps as surfaces, for 3D printing, planning and viewing: STL, Wavefront OBJ and binary glTF.

Coordinates are the patient's, as DICOM counts them: mm, x to the left, y to the back, z to the head. STL and OBJ say so
in a comment 3D Slicer understands; glTF, which has a world of its own, carries the turn and the scale as a matrix.
"""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

import numpy as np

from medseg.io.dicom_results.coding import notice
from medseg.io.files.atomic import write_bytes, write_text
from medseg.io.surface import Surface, surfaces
from medseg.types import AnyLabels, ModelIdentity

log = logging.getLogger("medseg.io.mesh")
# From LPS in mm to glTF's meters with y up and the front towards z: column by column.
TO_GLTF = [0.001, 0, 0, 0, 0, 0, -0.001, 0, 0, 0.001, 0, 0, 0, 0, 0, 1]


def write_stl(labels: AnyLabels, path: Path, *, model: ModelIdentity) -> list[Path]:
    """Write each class that has voxels as a binary STL file: ``labels.stl`` gives ``labels.1-liver.stl`` and so on."""
    written = []
    for surface in _found(labels, path):
        name = re.sub(r"[^A-Za-z0-9]+", "-", surface.entry.name).strip("-").lower()
        target = path.with_name("-".join(filter(None, (f"{path.stem}.{surface.entry.value}", name))) + path.suffix)
        triangles = np.zeros(
            len(surface.faces), dtype=[("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")]
        )
        corners = surface.vertices[surface.faces]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        lengths = np.linalg.norm(normals, axis=1, keepdims=True)
        triangles["normal"] = np.divide(normals, lengths, out=np.zeros_like(normals), where=lengths > 0)
        triangles["corners"] = corners
        text = f"SPACE=LPS medseg {model.name} {model.version}, {notice(model)}"
        header = text.encode("ascii", "replace")[:80].ljust(80)
        write_bytes(target, header + len(triangles).to_bytes(4, "little") + triangles.tobytes())
        written.append(target)
    return written


def write_obj(labels: AnyLabels, path: Path, *, model: ModelIdentity) -> list[Path]:
    """Write all classes as one OBJ file, an object each, with their colors in a material file beside it."""
    found = _found(labels, path)
    materials = path.with_suffix(".mtl")
    lines = [f"# SPACE=LPS, mm; medseg {model}, {notice(model)}", f"mtllib {materials.name}"]
    colors = [f"# medseg {model}"]
    offset = 1
    for surface in found:
        name = f"{surface.entry.value}-" + re.sub(r"\s+", "_", surface.entry.name)
        colors += [f"newmtl {name}", "Kd " + " ".join(f"{c / 255:.4f}" for c in surface.entry.color)]
        lines += [f"o {name}", f"usemtl {name}"]
        lines += [f"v {x:.4f} {y:.4f} {z:.4f}" for x, y, z in surface.vertices.tolist()]
        lines += [f"f {a} {b} {c}" for a, b, c in (surface.faces + offset).tolist()]
        offset += len(surface.vertices)
    write_text(materials, "\n".join(colors) + "\n")
    write_text(path, "\n".join(lines) + "\n")
    return [path, materials]


def write_glb(labels: AnyLabels, path: Path, *, model: ModelIdentity) -> list[Path]:
    """Write all classes as one binary glTF 2.0 file, a named and colored mesh each."""
    found = _found(labels, path)
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "medseg", "copyright": f"{model}, {notice(model)}"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"name": "patient, mm, LPS", "matrix": TO_GLTF}],
    }
    buffer = b""
    if found:
        document |= {"meshes": [], "materials": [], "accessors": [], "bufferViews": []}
        document["nodes"][0]["children"] = list(range(1, len(found) + 1))
    for number, surface in enumerate(found):
        vertices, faces = surface.vertices.astype("<f4"), surface.faces.astype("<u4")
        for array, kind, target, component in ((vertices, "VEC3", 34962, 5126), (faces.ravel(), "SCALAR", 34963, 5125)):
            accessor = {"bufferView": len(document["bufferViews"]), "componentType": component, "type": kind}
            accessor |= {"count": len(array)}
            if kind == "VEC3":
                accessor |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
            document["accessors"].append(accessor)
            view = {"buffer": 0, "byteOffset": len(buffer), "byteLength": array.nbytes, "target": target}
            document["bufferViews"].append(view)
            buffer += array.tobytes()
        document["materials"].append(_material(surface))
        primitive = {"attributes": {"POSITION": 2 * number}, "indices": 2 * number + 1, "material": number}
        document["meshes"].append({"name": surface.entry.name, "primitives": [primitive]})
        document["nodes"].append({"name": surface.entry.name, "mesh": number})
    if buffer:
        document["buffers"] = [{"byteLength": len(buffer)}]
    write_bytes(path, _glb(document, buffer))
    return [path]


WRITERS = {".stl": write_stl, ".obj": write_obj, ".glb": write_glb}


def _found(labels: AnyLabels, path: Path) -> list[Surface]:
    found = surfaces(labels)
    if not found:
        log.info("%s: nothing was found, so there is no surface", path)
    return found


def _material(surface: Surface) -> dict[str, Any]:
    # glTF wants colors in linear light; label colors are sRGB.
    linear = [((c / 255 + 0.055) / 1.055) ** 2.4 if c > 10 else c / 255 / 12.92 for c in surface.entry.color]
    factors = {"baseColorFactor": [*linear, 1.0], "metallicFactor": 0.0, "roughnessFactor": 0.8}
    return {"name": surface.entry.name, "pbrMetallicRoughness": factors}


def _glb(document: dict[str, Any], buffer: bytes) -> bytes:
    """Pack as glTF 2.0's binary container: a JSON chunk and a buffer chunk, each padded to four bytes."""
    text = json.dumps(document, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 4)
    chunks = len(text).to_bytes(4, "little") + b"JSON" + text
    if buffer:
        chunks += len(buffer).to_bytes(4, "little") + b"BIN\0" + buffer
    return b"glTF" + (2).to_bytes(4, "little") + (12 + len(chunks)).to_bytes(4, "little") + chunks
