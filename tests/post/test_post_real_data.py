"""Objects of real scans and pictures: lesions in MR, nuclei in fluorescence and histology."""

import numpy as np
import pytest
from objects_for_tests import instances, label_map, panoptic_quality
from PIL import Image
from scipy import ndimage
from shared_data import DATA

from medseg.data.border_class import border_labels
from medseg.io import image2d, nifti
from medseg.post.components import components
from medseg.post.from_border import objects_from_border
from medseg.post.measure import measure
from medseg.post.watershed import watershed

pytestmark = pytest.mark.needs_data("data/ms_lesions", "data/nuclei", "data/nuclei_3d")


def foreground(nuclei):
    return label_map(nuclei.ids > 0, table=nuclei.table)


def mean_quality(references, method):
    return np.mean([panoptic_quality(reference.ids, method(reference).ids) for reference in references])


@pytest.mark.parametrize("step", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_lesion_counts_equal_scipy(step):
    for path in sorted((DATA / "ms_lesions" / "labels").glob("*.nii.gz"))[::step]:
        labels = nifti.read_labels(path)
        for connectivity, rank in ((6, 1), (26, 3)):
            expected, count = ndimage.label(labels.array, ndimage.generate_binary_structure(3, rank))
            found = components(labels, connectivity=connectivity, planes=17)
            assert len(found.rows) == count
            assert sorted(row.voxels for row in found.rows) == sorted(np.bincount(expected.ravel())[1:])
        largest = max(measure(found).rows, key=lambda row: row.voxels)
        assert 0 < largest.measures.sphericity <= 1
        assert largest.measures.diameter_mm < 250


@pytest.fixture(scope="module")
def pictures():
    paths = sorted((DATA / "nuclei" / "instances").glob("*.png"))[::12]
    return [instances(np.asarray(Image.open(path)).T[..., np.newaxis]) for path in paths]


def test_pictures_of_instances_read_as_the_loader_lays_them_out():
    path = sorted((DATA / "nuclei" / "instances").glob("*.png"))[0]
    assert np.array_equal(image2d.read_labels(path).array, np.asarray(Image.open(path)).T[..., np.newaxis])


def test_watershed_splits_touching_nuclei(pictures):
    """With a perfect foreground, shape alone parts most touching nuclei; components part none."""
    by_components = mean_quality(pictures, lambda reference: components(foreground(reference)))
    by_watershed = mean_quality(pictures, lambda reference: watershed(foreground(reference)))
    assert by_watershed > 0.92
    assert by_watershed > by_components + 0.05


def test_border_class_keeps_nuclei_apart(pictures):
    """What a perfect network with a border class would reach: the upper limit of the method."""
    assert mean_quality(pictures, lambda reference: objects_from_border(border_labels(reference, 1))) > 0.96


def test_nuclei_in_a_volume():
    import tifffile

    reference = instances(tifffile.imread(DATA / "nuclei_3d" / "mask3d.tif"))
    by_components = panoptic_quality(reference.ids, components(foreground(reference)).ids)
    by_watershed = panoptic_quality(reference.ids, watershed(foreground(reference), depth_mm=0.25).ids)
    by_border = panoptic_quality(reference.ids, objects_from_border(border_labels(reference, 1)).ids)
    assert by_components < 0.25 < 0.85 < by_watershed < by_border
    assert by_border > 0.97
