from medseg.cluster.places import Machine, places_on

MACHINES = [
    Machine("n0", "host0", 8, 2, 0),
    Machine("n1", "host1", 9, 0, 0),
    Machine("n2", "host2", 2, 0, 0),
    Machine("n3", "host3", 0, 0, 0),
]


def test_a_gpu_has_a_worker_and_other_machines_one_for_four_cpus():
    places = places_on(MACHINES, cpus=None, use_gpus=True)
    assert [(p.host, p.index, p.cpus, p.gpus) for p in places] == [
        ("host0", 0, 4, 1),
        ("host1", 0, 4, 0),
        ("host2", 0, 2, 0),
        ("host0", 1, 4, 1),
        ("host1", 1, 4, 0),
    ]
    on_cpus = places_on(MACHINES, cpus=3, use_gpus=False)
    assert [(p.host, p.cpus, p.gpus) for p in on_cpus] == [
        *(("host0", 3, 0), ("host1", 3, 0)),
        *(("host0", 3, 0), ("host1", 3, 0)),
        ("host1", 3, 0),
    ]


def test_the_workers_of_a_machine_divide_its_memory():
    places = places_on([Machine("n", "host", 8, 0, 10 * 2**30)], cpus=4, use_gpus=False)
    assert [round(place.gib, 3) for place in places] == [4.5, 4.5]
