"""Surfaces: in the right place, closed, the right way out, of the right volume, in three formats."""

import json
from pathlib import Path

import numpy as np
import pytest
from objects_for_tests import oblique_affine
from small_labels import MODEL, no_labels, some_labels

from medseg.io.mesh import TO_GLTF, write_glb, write_obj, write_stl
from medseg.io.surface import surfaces
from medseg.types import Geometry, LabelClass, LabelMap, LabelTable

SPHERE = LabelTable((LabelClass(3, "Ball / sphère"),))


def oblique(flip: bool = False, lean: float = 0.0) -> Geometry:
    affine = oblique_affine((0.8, -0.9 if flip else 0.9, 1.5), (120.0, -80.0, 900.0))
    affine[:3, 2] += lean
    return Geometry(affine, (40, 40, 30))


every_grid = pytest.mark.parametrize(
    "geometry", [oblique(), oblique(flip=True), oblique(lean=0.4)], ids=["", "mirrored", "sheared"]
)


def ball(geometry: Geometry, radius: float = 10.0) -> tuple[LabelMap, np.ndarray]:
    middle = geometry.to_world((20, 19, 14))
    places = geometry.to_world(np.moveaxis(np.indices(geometry.shape), 0, -1))
    inside = np.linalg.norm(places - middle, axis=-1) < radius
    return LabelMap(inside.astype(np.uint8) * 3, geometry, SPHERE), middle * [-1, -1, 1]


@every_grid
def test_a_ball_has_the_place_size_and_volume_of_a_ball(geometry):
    labels, middle = ball(geometry)
    (surface,) = surfaces(labels)
    assert np.linalg.norm(surface.vertices.mean(axis=0) - middle) < 0.2
    distances = np.linalg.norm(surface.vertices - middle, axis=1)
    assert abs(distances.mean() - 10) < 0.3
    assert distances.max() < 10 + max(geometry.spacing)
    assert surface.volume == pytest.approx(4 / 3 * np.pi * 10**3, rel=0.03)
    edges = np.sort(surface.faces[:, [(0, 1), (1, 2), (2, 0)]].reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()  # closed


@pytest.mark.peers
@every_grid
@pytest.mark.parametrize("radius", [8.0, 10.0, 12.0])
def test_trimesh_reads_a_ball(tmp_path, geometry, radius):
    """Closed, within 2% of the ball's volume, its middle within a tenth of a millimeter, in each of the formats."""
    trimesh = pytest.importorskip("trimesh", reason="needs trimesh (pip install trimesh)")
    labels, middle = ball(geometry, radius)
    (stl,) = write_stl(labels, tmp_path / "labels.stl", model=MODEL)
    write_obj(labels, tmp_path / "labels.obj", model=MODEL)
    write_glb(labels, tmp_path / "labels.glb", model=MODEL)
    for path in (stl, tmp_path / "labels.obj", tmp_path / "labels.glb"):
        mesh = trimesh.load(path, force="mesh")
        if path.suffix == ".glb":  # meters, y up
            mesh.apply_transform(np.linalg.inv(np.array(TO_GLTF).reshape(4, 4).T))
        assert mesh.is_watertight
        assert mesh.volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.02)
        assert np.linalg.norm(mesh.center_mass - middle) < 0.1


def test_a_class_on_the_edge_of_the_grid_is_closed_there():
    geometry = oblique()
    labels = LabelMap(np.full(geometry.shape, 3, np.uint8), geometry, SPHERE)
    (surface,) = surfaces(labels)
    assert surface.volume == pytest.approx(geometry.voxel_count * geometry.voxel_volume, rel=0.01)


def test_stl(tmp_path):
    labels, middle = ball(oblique())
    (path,) = write_stl(labels, tmp_path / "labels.stl", model=MODEL)
    assert path.name == "labels.3-ball-sph-re.stl"
    content = path.read_bytes()
    assert content.startswith(b"SPACE=LPS")
    assert not content.startswith(b"solid")  # which would announce a text file
    triangles = np.frombuffer(content[84:], [("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("more", "<u2")])
    assert len(triangles) == int.from_bytes(content[80:84], "little")
    outwards = ((triangles["corners"].mean(axis=1) - middle) * triangles["normal"]).sum(axis=1)
    assert (outwards > 0).mean() > 0.99


def test_obj_and_glb_hold_the_same_surfaces(tmp_path):
    labels = some_labels(Geometry(oblique().affine, (13, 11, 6)))
    found = surfaces(labels)
    assert [s.entry.name for s in found] == ["liver", "Größe α"]
    write_obj(labels, tmp_path / "labels.obj", model=MODEL)
    write_glb(labels, tmp_path / "labels.glb", model=MODEL)
    lines = [line.split() for line in (tmp_path / "labels.obj").read_text().splitlines()]
    assert [line[1] for line in lines if line[0] == "o"] == ["1-liver", "2-Größe_α"]
    vertices = np.array([line[1:] for line in lines if line[0] == "v"], float)
    assert np.allclose(vertices, np.concatenate([s.vertices for s in found]), atol=1e-4)
    faces = np.array([line[1:] for line in lines if line[0] == "f"], int)
    assert faces.min() == 1
    assert faces.max() == len(vertices)
    assert "Kd 0.8667 0.5098 0.3961" in (tmp_path / "labels.mtl").read_text()

    document, buffer = parse_glb(tmp_path / "labels.glb")
    assert [mesh["name"] for mesh in document["meshes"]] == ["liver", "Größe α"]
    for number, surface in enumerate(found):
        points, triangles = (accessor(document, buffer, 2 * number + n) for n in (0, 1))
        assert np.allclose(points.reshape(-1, 3), surface.vertices, atol=1e-3)
        assert np.array_equal(triangles.reshape(-1, 3), surface.faces)
    matrix = np.array(document["nodes"][0]["matrix"]).reshape(4, 4).T
    assert np.allclose(matrix @ (10, 20, 30, 1), (0.010, 0.030, -0.020, 1))  # left, head, front, in meters
    assert np.linalg.det(matrix[:3, :3]) > 0


def test_nothing_found_leaves_valid_files(tmp_path):
    nothing = no_labels(Geometry(oblique().affine, (13, 11, 6)))
    assert write_stl(nothing, tmp_path / "labels.stl", model=MODEL) == []
    write_obj(nothing, tmp_path / "labels.obj", model=MODEL)
    write_glb(nothing, tmp_path / "labels.glb", model=MODEL)
    assert "\nv " not in (tmp_path / "labels.obj").read_text()
    document, _ = parse_glb(tmp_path / "labels.glb")
    assert "meshes" not in document


def parse_glb(path: Path) -> tuple[dict, bytes]:
    content = path.read_bytes()
    assert content[:4] == b"glTF"
    assert int.from_bytes(content[8:12], "little") == len(content)
    length = int.from_bytes(content[12:16], "little")
    assert length % 4 == 0
    return json.loads(content[20 : 20 + length]), content[28 + length :]


def accessor(document: dict, buffer: bytes, number: int) -> np.ndarray:
    view = document["bufferViews"][document["accessors"][number]["bufferView"]]
    kind = {5126: "<f4", 5125: "<u4"}[document["accessors"][number]["componentType"]]
    return np.frombuffer(buffer[view["byteOffset"] :][: view["byteLength"]], kind)
