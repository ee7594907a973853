import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medseg.cluster.lease_table import MOST_AT_ONCE, TRIES, LeaseTable


def test_leases_shrink_towards_the_end_and_every_case_is_leased_once():
    table: LeaseTable[str, int] = LeaseTable(range(100))
    sizes, seen = [], []
    while cases := table.lease("one", 2):
        sizes.append(len(cases))
        seen += cases
        for case in cases:
            table.take_in_hand("one", case)
            assert table.end("one", case)
        table.hand_back("one")
    assert seen == [*range(100)]
    assert sizes[0] == MOST_AT_ONCE
    assert sizes[-1] == 1
    assert table.is_over


def test_a_worker_with_cases_gets_no_others():
    table: LeaseTable[str, int] = LeaseTable(range(3))
    table.lease("one", 1)
    with pytest.raises(ValueError, match="has cases already"):
        table.lease("one", 1)


def test_a_lost_worker_costs_only_what_it_had_in_hand_a_try_and_the_suspect_is_leased_alone():
    table: LeaseTable[str, int] = LeaseTable(range(40))
    leased = table.lease("one", 1)
    assert leased == tuple(range(8))
    table.take_in_hand("one", 0)
    table.end("one", 0)
    table.take_in_hand("one", 1)
    assert table.lose("one") == ()
    rest: list[int] = []
    while cases := table.lease("two", 1):
        if 1 in cases:
            assert cases == (1,)
        rest += cases
        for case in cases:
            table.end("two", case)
        table.hand_back("two")
    assert sorted(rest) == [*range(1, 40)]
    assert rest[-1] == 1


def test_a_case_is_blamed_when_three_workers_were_lost_with_it_and_not_its_neighbors():
    table: LeaseTable[int, str] = LeaseTable(["good", "poison", "fine"])
    for worker in range(TRIES):
        while "poison" not in (cases := table.lease(worker, 9)):
            table.end(worker, cases[0])
            table.hand_back(worker)
        table.take_in_hand(worker, "poison")
        assert table.lose(worker) == (("poison",) if worker == TRIES - 1 else ())
        assert table.is_over == (worker == TRIES - 1)


def test_a_worker_lost_before_it_said_anything_costs_its_first_case_a_try():
    table: LeaseTable[int, str] = LeaseTable(["a", "b"])
    for worker in range(TRIES):
        while table.lease(worker, 9) != ("a",):
            table.end(worker, "b")
            table.hand_back(worker)
        blamed = table.lose(worker)
    assert blamed == ("a",)
    assert table.is_over


def test_an_outcome_that_comes_twice_is_no_news():
    table: LeaseTable[str, str] = LeaseTable(["a"])
    table.lease("one", 1)
    assert table.end("one", "a")
    assert not table.end("one", "a")


@settings(max_examples=60)
@given(st.integers(1, 30), st.integers(1, 5), st.integers(0, 2), st.integers(0, 2**32))
def test_whatever_happens_to_workers_every_case_ends_once_and_only_poison_is_blamed(n_cases, n_workers, n_poison, seed):
    chance = random.Random(seed)
    poison = set(chance.sample(range(n_cases), min(n_poison, n_cases)))
    table: LeaseTable[int, int] = LeaseTable(range(n_cases))
    ended: list[int] = []
    blamed: list[int] = []
    bad_luck = 2 if not poison else 0  # workers lost for no reason; fewer than would blame a case
    leases: dict[int, list[int]] = {}
    number = n_workers
    workers = set(range(n_workers))
    for _ in range(10_000):
        if table.is_over:
            break
        worker = chance.choice(sorted(workers))
        if worker not in leases:
            if cases := table.lease(worker, n_workers):
                leases[worker] = [*cases]
            continue
        if not leases[worker]:
            del leases[worker]
            table.hand_back(worker)
            continue
        case = leases[worker].pop(0)
        table.take_in_hand(worker, case)
        if case in poison or (bad_luck and chance.random() < 0.2):
            bad_luck -= case not in poison
            blamed += table.lose(worker)
            del leases[worker]
            workers = (workers - {worker}) | {number}
            number += 1
        elif table.end(worker, case):
            ended.append(case)
    assert table.is_over
    assert sorted([*ended, *blamed]) == [*range(n_cases)]
    assert set(blamed) == poison
