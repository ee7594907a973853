import numpy as np
import pytest
from small_files import noise, volume

from medseg.data.audit import audit
from medseg.data.description import DatasetDescription
from medseg.data.layouts import read_dataset

PLACES = [(x, y, z) for x in (1, 7, 13, 19) for y in (1, 7, 13, 19) for z in (1, 7)]


def labels_of(places, count):
    labels = np.zeros((24, 24, 12), np.uint8)
    for value, (x, y, z) in enumerate(places[:count], start=1):
        labels[x : x + 4, y : y + 4, z : z + 4] = value
    return labels


def write(folder, counts, *, moved, offset=False):
    for case, count in enumerate(counts):
        rng = np.random.default_rng(case)
        places = [PLACES[k] for k in rng.permutation(len(PLACES))] if moved else PLACES
        labels = np.roll(labels_of(places, count), 3 * case if offset else 0, axis=0)
        volume(folder / "images" / f"c{case}.nii.gz", noise(labels.shape, case))
        volume(folder / "labels" / f"c{case}.nii.gz", labels)
    return folder


def kinds(folder, given=None):
    return {f.kind for f in audit(read_dataset(folder, given), jobs=1).findings if f.blocks}


@pytest.mark.parametrize("counts", [(7, 9, 8, 12), (9, 9, 9, 9)])
def test_unnamed_numbers_of_objects_block_until_a_person_says_what_they_are(tmp_path, counts):
    folder = write(tmp_path, counts, moved=True)
    assert kinds(folder) == {"numbered-objects"}
    assert not kinds(folder, DatasetDescription(references="instances"))
    named = {f"cell type {k}": k for k in range(1, max(counts) + 1)}
    assert not kinds(folder, DatasetDescription(labels=named))


@pytest.mark.parametrize("offset", [False, True])
def test_organs_and_vertebrae_keep_their_order_and_are_classes(tmp_path, offset):
    assert "numbered-objects" not in kinds(write(tmp_path, (7, 9, 8, 12), moved=False, offset=offset))
