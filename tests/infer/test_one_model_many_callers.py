"""One loaded model, whose labels are the same whoever asks: threads, processes, event loops."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

import medseg

ENGINES = ["openvino", "torch"]
SCAN = np.random.default_rng(0).normal(size=(36, 40, 32)).astype(np.float32)  # two windows
AFFINE = np.eye(4)


def load(engine):
    return medseg.load_model(
        "hippocampus", engine=engine, device="cpu", precision="float32", mirror="none", overlap=0.0
    )


def labels(model):
    return np.asarray(model.segment(SCAN, AFFINE, anyway=True).labels)


@pytest.fixture(scope="module")
def models():
    return {engine: load(engine) for engine in ENGINES}


@pytest.fixture(scope="module")
def alone(models):
    return {engine: labels(model) for engine, model in models.items()}


@pytest.fixture(scope="module", params=ENGINES)
def model(request, models, alone):
    threads = torch.get_num_threads()
    found = alone[request.param]
    assert len(np.unique(found)) > 1
    yield models[request.param], found
    assert torch.get_num_threads() == threads


def test_threads(model):
    made, alone = model
    found = []
    threads = [threading.Thread(target=lambda: found.append(labels(made))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.array_equal(one, alone) for one in found)


def test_an_event_loop(model):
    made, alone = model

    async def gathered():
        return await asyncio.gather(*[asyncio.to_thread(labels, made) for _ in range(2)])

    assert all(np.array_equal(one, alone) for one in asyncio.run(gathered()))


FORKED = """
import sys
import numpy as np
from torch.utils.data import DataLoader
from test_one_model_many_callers import labels, load

class Segmented(list):
    def __getitem__(self, index):
        return labels(super().__getitem__(index))

if __name__ == "__main__":
    for engine in sys.argv[1:]:
        model = load(engine)
        alone = labels(model)
        loader = DataLoader(Segmented([model]), num_workers=1, multiprocessing_context="fork", timeout=120)
        assert np.array_equal(next(iter(loader))[0], alone), engine
"""


def test_a_forked_worker_of_a_data_loader():
    """In a process of its own: here, threads of other tests may hold what a fork copies."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    done = subprocess.run([sys.executable, "-c", FORKED, *ENGINES], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def put_labels(engines, queue):
    for engine in engines:
        queue.put(labels(load(engine)))


@pytest.mark.slow
def test_a_spawned_process(alone):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=put_labels, args=(ENGINES, queue))
    process.start()
    for engine in ENGINES:
        assert np.array_equal(queue.get(timeout=120), alone[engine]), engine
    process.join()


@pytest.mark.slow
def test_memory_stays_flat_over_500_calls():
    import psutil

    model, process = load("openvino"), psutil.Process()
    for _ in range(20):
        labels(model)
    before = process.memory_info().rss
    for _ in range(480):
        labels(model)
    assert process.memory_info().rss - before < 16 << 20
