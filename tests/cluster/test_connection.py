from types import SimpleNamespace
from typing import Any

import pytest

import medseg
from medseg.cluster import connection as connection_module
from medseg.cluster.connection import Cluster
from medseg.errors import MissingDependency, UsageError


def cluster_of(*machines: dict[str, float]) -> Cluster:
    nodes = [
        {
            "Alive": resources.pop("alive", 1) > 0,
            "NodeID": f"n{n}",
            "NodeManagerHostname": f"host{n}",
            "Resources": resources,
        }
        for n, resources in enumerate(machines)
    ]
    names = ("RayActorError", "ActorUnschedulableError", "NodeDiedError", "WorkerCrashedError", "ObjectLostError")
    errors = SimpleNamespace(**dict.fromkeys(names, Exception))
    ray: Any = SimpleNamespace(nodes=lambda: nodes, exceptions=errors)
    return Cluster(ray, is_ours=False)


def test_a_gpu_has_a_worker_and_other_machines_one_for_four_cpus():
    cluster = cluster_of({"CPU": 8, "GPU": 2}, {"CPU": 9}, {"CPU": 2}, {"CPU": 0}, {"CPU": 16, "alive": 0})
    places = cluster.places(cpus=None, use_gpus=True)
    assert [(p.host, p.index, p.cpus, p.gpus) for p in places] == [
        ("host0", 0, 4, 1),
        ("host1", 0, 4, 0),
        ("host2", 0, 2, 0),
        ("host0", 1, 4, 1),
        ("host1", 1, 4, 0),
    ]
    on_cpus = cluster.places(cpus=3, use_gpus=False)
    assert [(p.host, p.cpus, p.gpus) for p in on_cpus] == [
        *(("host0", 3, 0), ("host1", 3, 0)),
        *(("host0", 3, 0), ("host1", 3, 0)),
        ("host1", 3, 0),
    ]


def test_the_workers_of_a_machine_divide_its_memory():
    places = cluster_of({"CPU": 8, "memory": 7 * 2**30, "object_store_memory": 3 * 2**30}).places(
        cpus=4, use_gpus=False
    )
    assert [round(place.gib, 3) for place in places] == [4.5, 4.5]


def test_without_ray_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(connection_module, "find_spec", lambda name: None)
    with pytest.raises(
        MissingDependency, match=r"`ray`: Ray is not installed\. pip install 'medseg\[ray\]'"
    ) as missing:
        medseg.predict(tmp_path, "hippocampus", tmp_path / "out", ray="auto")
    assert missing.value.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_cpus_of_workers_are_for_a_cluster(tmp_path):
    with pytest.raises(UsageError, match=r"Add `ray` auto, or omit it"):
        medseg.predict(tmp_path, "hippocampus", tmp_path / "out", worker_cpus=2)


def test_an_address_where_nothing_listens_is_refused_before_ray_tries_for_minutes():
    with pytest.raises(UsageError, match=r"--ray 127\.0\.0\.1:1: no Ray cluster answers there"):
        connection_module._check_listening("127.0.0.1:1")
    with pytest.raises(UsageError, match="no Ray cluster answers there"):
        connection_module._check_listening("127.0.0.1:99999")
    for other in ("auto", "local", "nonsense", "[::1]"):
        connection_module._check_listening(other)  # for Ray to say
