"""Writes THIRD_PARTY.md: the license of every package that a default installation of medseg brings.

Run it where medseg is installed: python docs/reference/make_third_party.py. It follows the requirements in
pyproject.toml through the metadata of what is installed, so extras and development tools are not in it.
"""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "THIRD_PARTY.md"

# What metadata says in words of its own, as SPDX calls it.
NAMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache": "Apache-2.0",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "OSI Approved :: Apache Software License": "Apache-2.0",
}
# "BSD" alone has versions; these were read in the license file of each.
READ = dict.fromkeys(
    ("gitdb", "jinja2", "mpmath", "pyasn1-modules", "scikit-image", "scipy", "smmap", "sqlparse", "sympy"),
    "BSD-3-Clause",
) | {"pyasn1-modules": "BSD-2-Clause"}
# What PyTorch requires besides where it was built for CUDA, as the introduction says; the table is of a CPU's build.
OF_CUDA = re.compile(r"(nvidia|cuda)-|triton$")
GCC = "GPL-3.0-or-later WITH GCC-exception-3.1"
# Shared libraries that wheels for Linux carry along; the others in them are the package's own.
CARRIED = {
    "libImath-3_2": "BSD-3-Clause", "libOpenEXRCore-3_5": "BSD-3-Clause", "libisal": "BSD-3-Clause",
    "libwavpack": "BSD-3-Clause",
    "libLerc": "Apache-2.0", "libSPERR": "BSD-3-Clause", "libSZ3c": "BSD-3-Clause", "libXau": "MIT",
    "libaec": "BSD-2-Clause", "libaom": "BSD-2-Clause", "libavif": "BSD-2-Clause", "libblosc": "BSD-3-Clause",
    "libblosc2": "BSD-3-Clause", "libbrotlicommon": "MIT", "libbrotlidec": "MIT", "libbrotlienc": "MIT",
    "libcharls": "BSD-3-Clause", "libcpcodec": "Apache-2.0", "libdeflate": "MIT",
    "libfreetype": "FTL OR GPL-2.0-or-later",
    "libgfortran": GCC, "libgif": "MIT", "libgomp": GCC, "libharfbuzz": "MIT", "libhwloc": "BSD-3-Clause",
    "libjpeg": "IJG AND BSD-3-Clause AND Zlib", "libjpegxr": "BSD-2-Clause", "libjxl": "BSD-3-Clause",
    "libjxl_cms": "BSD-3-Clause", "libjxl_threads": "BSD-3-Clause", "libjxrglue": "BSD-2-Clause", "liblcms2": "MIT",
    "liblz4": "BSD-2-Clause", "liblzfse": "BSD-3-Clause", "liblzhamcomp": "MIT", "liblzhamdecomp": "MIT",
    "liblzhamdll": "MIT", "liblzma": "0BSD", "liblzokay": "MIT", "liblzokay-c": "MIT", "libmeshoptimizer": "MIT",
    "libopenjp2": "BSD-2-Clause", "libopenjph": "BSD-2-Clause", "libpng16": "libpng-2.0",
    "libquadmath": "LGPL-2.1-or-later", "libscipy_openblas": "BSD-3-Clause", "libscipy_openblas64_": "BSD-3-Clause",
    "libsharpyuv": "BSD-3-Clause", "libsnappy": "BSD-3-Clause", "libsz": "BSD-2-Clause", "libtbb": "Apache-2.0",
    "libtbbbind_2_5": "Apache-2.0", "libtbbmalloc": "Apache-2.0", "libtbbmalloc_proxy": "Apache-2.0",
    "libtiff": "libtiff", "libuhdr": "Apache-2.0", "libwebp": "BSD-3-Clause", "libwebpdemux": "BSD-3-Clause",
    "libwebpmux": "BSD-3-Clause", "libxcb": "MIT", "libzfp": "BSD-3-Clause", "libzopfli": "Apache-2.0",
    "libzstd": "BSD-3-Clause",
}  # fmt: skip
OWN = (
    "libopenvino",
    "libtorch",
    "libc10",
    "libcaffe2",
    "libshm",
    "libaoti",
    "libbackend_with_compiler",
    "libjitbackend",
)

INTRODUCTION = """# Software of others in a default installation

<!-- Made by `python docs/reference/make_third_party.py`; a test compares the two. -->

medseg is under Apache-2.0. `pip install medseg` brings the packages below, from whom they are under the licenses
named, by their own metadata where that is exact, else by their license files. None is under the GPL or AGPL.

- `connected-components-3d` is under the LGPL, version 3 or later; so is, at version 2.1, `libquadmath`, which the
  wheels of NumPy and SciPy carry. medseg imports them and does not change them; either can be replaced by another
  build.
- `libgomp` and `libgfortran` of GCC are under the GPL with GCC's runtime exception, which lets programs of any
  license use them.
- PyTorch of PyPI for Linux on x86-64 also installs NVIDIA's CUDA libraries, which are under NVIDIA's own license. The
  build for CPUs (`pip install torch --index-url https://download.pytorch.org/whl/cpu`) does not.
- SimpleITK contains ITK and GDCM, OpenVINO contains oneDNN, and PyTorch contains oneDNN and others, linked into their
  own files: Apache-2.0, BSD-3-Clause and the licenses named for PyTorch.
- The names, values, codes and colors of TotalSegmentator's classes (`medseg/models/adapters/totalsegmentator.csv`) are
  from github.com/wasserth/TotalSegmentator, Apache-2.0; its weights are not part of medseg.
- The font DejaVu Sans is part of medseg; its license is `medseg/io/dicom_results/DejaVuSans-LICENSE`.

`pylibjpeg-libjpeg`, which is under the GPL, was required up to version 0.1 and is not any more. Where it is installed
all the same, medseg does not use it.

| package | license | libraries that its wheel for Linux carries |
|---|---|---|
"""


@dataclass(frozen=True)
class Package:
    """One package of the installation."""

    name: str
    license: str
    libraries: tuple[str, ...]  # shared libraries of others


def required() -> list[str]:
    """Names of the packages that medseg requires, and what they require in turn, in order."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    todo = [Requirement(line) for line in project["dependencies"]]
    found: set[tuple[str, frozenset[str]]] = set()
    while todo:
        requirement = todo.pop()
        key = canonicalize_name(requirement.name), frozenset(requirement.extras)
        if key in found or OF_CUDA.match(key[0]):
            continue
        found.add(key)
        for line in importlib.metadata.distribution(key[0]).requires or ():
            needed = Requirement(line)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(needed)
    return sorted({name for name, _ in found})


def license_of(name: str) -> str:
    """SPDX expression of a package's license; `ValueError` where its metadata does not say one."""
    metadata = importlib.metadata.metadata(name)
    classifiers = [c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or () if c.startswith("License ::")]
    stated = [metadata.get("License-Expression") or "", READ.get(name, ""), metadata.get("License") or "", *classifiers]
    for text in stated:
        text = NAMES.get(text.strip(), text.strip())
        if re.fullmatch(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*", text) and text not in ("BSD", "LICENSE"):
            return text
    raise ValueError(f"{name}: its metadata names no license ({stated}). Read its license file and add it to READ.")


def libraries_of(name: str) -> Iterator[str]:
    """Shared libraries in a package that are neither its own nor modules of Python."""
    for file in importlib.metadata.files(name) or ():
        if not re.search(r"\.so(\.|$)", file.name) or re.search(r"cpython|abi3|pypy", file.name):
            continue
        library = re.sub(r"(-[0-9a-f]{8})*\.so.*", "", file.name)
        if not library.startswith((*OWN, "_")) and not re.search(r"_test|custom_ops|torchbind", library):
            yield library


def packages() -> list[Package]:
    """Return every package of a default installation."""
    return [Package(name, license_of(name), tuple(sorted(set(libraries_of(name))))) for name in required()]


def page() -> str:
    """Return what THIRD_PARTY.md holds."""
    rows = []
    for package in packages():
        unknown = [library for library in package.libraries if library not in CARRIED]
        if unknown:
            raise ValueError(f"{package.name} carries {unknown}. Find their licenses and add them to CARRIED.")
        carried = ", ".join(f"{library} ({CARRIED[library]})" for library in package.libraries)
        rows.append(f"| {package.name} | {package.license} | {carried} |\n")
    return INTRODUCTION + "".join(rows)


def is_gpl(license: str) -> bool:
    """Whether a license asks that a program which uses the package be under the GPL or AGPL as well."""
    choices = license.split(" OR ")
    return all(re.search(r"(?<!L)GPL", choice) and "exception" not in choice for choice in choices)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    sys.stdout.write(f"{PAGE}: {len(packages())} packages\n")
