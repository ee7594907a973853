"""Reads patches from a prepared case kept as memory-mapped arrays and as blosc2; writes a page.

    python benchmarks/bench_prepared.py

One case of 320 x 320 x 200 voxels, float32: smooth tissue with noise, a third of it air, as normalized CT is. From each
store the same patches are read, in CPU seconds, the stores taking turns; needs `medseg[blosc2]`.
"""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import blosc2
import numpy as np
from scipy.ndimage import gaussian_filter

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks" / "prepared.md"
SHAPE = (320, 320, 200)
PATCH = (144, 144, 112)
CHUNK, BLOCK = (64, 64, 64), (32, 32, 32)
PATCHES, TURNS = 12, 3


def scan() -> np.ndarray:
    random = np.random.default_rng(0)
    tissue = gaussian_filter(random.normal(0, 1, SHAPE).astype(np.float32), 6) * 20
    image = tissue + random.normal(0, 0.15, SHAPE).astype(np.float32)
    x, y = np.ogrid[: SHAPE[0], : SHAPE[1]]
    outside = ((x - 160) / 150) ** 2 + ((y - 160) / 120) ** 2 > 1
    image[outside] = -2.5  # clipped air has one value
    return image


def seconds(read: Callable[[tuple[slice, ...]], np.ndarray], places: list[tuple[slice, ...]]) -> float:
    start = time.process_time()
    for place in places:
        np.ascontiguousarray(read(place)).sum()
    return (time.process_time() - start) / len(places)


def main() -> None:
    blosc2.set_nthreads(1)
    image = scan()
    random = np.random.default_rng(1)
    places = [
        tuple(slice(s, s + p) for s, p in zip(random.integers(0, np.subtract(SHAPE, PATCH)), PATCH, strict=True))
        for _ in range(PATCHES)
    ]
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "image.npy"
        start = time.process_time()
        np.save(plain, image)
        written = {"memory-mapped array": time.process_time() - start}
        sizes = {"memory-mapped array": plain.stat().st_size}
        readers: dict[str, Callable[[tuple[slice, ...]], np.ndarray]] = {
            "memory-mapped array": lambda place: np.load(plain, mmap_mode="r")[place]
        }
        for name, codec in (("blosc2, LZ4", blosc2.Codec.LZ4), ("blosc2, Zstd (nnU-Net's)", blosc2.Codec.ZSTD)):
            path = Path(folder) / f"{codec.name}.b2nd"
            start = time.process_time()
            blosc2.asarray(
                image,
                chunks=CHUNK,
                blocks=BLOCK,
                urlpath=str(path),
                cparams={"codec": codec, "clevel": 8, "nthreads": 1},
            )
            written[name] = time.process_time() - start
            sizes[name] = path.stat().st_size
            readers[name] = lambda place, path=path: blosc2.open(  # type: ignore[misc]
                str(path), mode="r", mmap_mode="r", dparams={"nthreads": 1}
            )[place]
            assert np.array_equal(readers[name](places[0]), image[places[0]])
        best = dict.fromkeys(readers, float("inf"))
        for _ in range(TURNS):
            for name, read in readers.items():
                best[name] = min(best[name], seconds(read, places))
    base = best["memory-mapped array"]
    lines = [
        "# How prepared cases are kept",
        "",
        f"`python benchmarks/bench_prepared.py`: one case of {' × '.join(map(str, SHAPE))} voxels, float32, like",
        f"normalized CT; {PATCHES} patches of {' × '.join(map(str, PATCH))} read from a warm disk cache by one thread,",
        f"CPU milliseconds a patch, least of {TURNS} turns taken in alternation. blosc2 {blosc2.__version__}, "
        f"Python {platform.python_version()}.",
        "",
        "| store | size, MB | to write, CPU-s | to read a patch, CPU-ms | ratio |",
        "|---|---|---|---|---|",
        *(
            f"| {name} | {sizes[name] / 1e6:.0f} | {written[name]:.2f} | {1000 * each:.1f} | {each / base:.1f} |"
            for name, each in best.items()
        ),
    ]
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
