"""Small NIfTI files with a known truth."""

import nibabel as nib
import numpy as np
from dicom_phantom import truth

from medseg.types import Geometry, LabelMap, LabelTable

STRAIGHT = np.diag([2.0, 1.5, 2.5, 1])
OBLIQUE = np.array([[1.9, -0.3, 0.2, -40], [0.4, 1.4, -0.5, -30], [-0.1, 0.6, 2.4, -25], [0, 0, 0, 1.0]])


def phantom(shape=(9, 11, 7), affine=OBLIQUE, dtype=np.int16):
    return np.rint(truth(Geometry(affine, shape))).astype(dtype)


def save(path, array, affine=OBLIQUE):
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def header_of(shape, dtype="f4", order="<"):
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(dtype))
    header.set_data_shape(shape)
    header.set_sform(OBLIQUE, 1)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    return header.binaryblock + bytes(4)


def ones(geometry):
    return LabelMap(np.ones(geometry.shape, np.uint8), geometry, LabelTable.unnamed([1]))
