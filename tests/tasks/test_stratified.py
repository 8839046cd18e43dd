"""Stratified choice, against its definition."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from prunebench.tasks.stratified import permuter, quotas, stratified

sizes_and_count = st.lists(st.integers(0, 60), min_size=1, max_size=12).flatmap(
    lambda sizes: st.tuples(st.just(sizes), st.integers(0, sum(sizes)))
)


@given(sizes_and_count)
def test_quotas_are_within_one_of_each_share(case: tuple[list[int], int]) -> None:
    sizes, count = case
    taken = quotas(np.array(sizes), count)
    assert taken.sum() == count
    for size, quota in zip(sizes, taken, strict=True):
        assert 0 <= quota <= size
        assert abs(quota - size * count / max(sum(sizes), 1)) < 1


@given(sizes_and_count, st.integers(0, 1), st.integers(0, 2))
def test_every_class_gets_and_leaves_what_is_asked_where_that_can_be(
    case: tuple[list[int], int], least: int, leave: int
) -> None:
    sizes, count = np.array(case[0]), case[1]
    plain, taken = quotas(sizes, count), quotas(sizes, count, least, leave)
    assert taken.sum() == count
    assert (taken >= 0).all()
    assert (taken <= sizes).all()
    high = sizes - leave
    can = (high >= least).all() and least * len(sizes) <= count <= high.sum()
    if can:
        assert (taken >= least).all()
        assert (taken <= high).all()
    if not can or ((plain >= least) & (plain <= high)).all():
        assert np.array_equal(taken, plain)  # what was fine before stays


def test_the_largest_classes_make_up_for_the_tiny_ones() -> None:
    assert quotas(np.array([97, 2, 3]), 20).tolist() == [19, 0, 1]
    assert quotas(np.array([97, 2, 3]), 20, least=1).tolist() == [18, 1, 1]
    assert quotas(np.array([2, 10]), 11, least=1, leave=0).tolist() == [2, 9]
    assert quotas(np.array([2, 20]), 20, least=1, leave=1).tolist() == [1, 19]


@given(st.lists(st.integers(0, 5), max_size=80), st.data(), st.integers(0, 2**32))
def test_chosen_positions_are_sorted_distinct_and_stratified(
    labels: list[int], data: st.DataObject, seed: int
) -> None:
    count = data.draw(st.integers(0, len(labels)))
    array = np.array(labels, np.int64)
    chosen = stratified(array, count, permuter(seed))
    assert len(chosen) == count
    assert list(chosen) == sorted(set(chosen.tolist()))
    for label in set(labels):
        share = labels.count(label) * count / len(labels)
        assert abs(int((array[chosen] == label).sum()) - share) < 1
    assert np.array_equal(chosen, stratified(array, count, permuter(seed)))


def test_orders_are_permutations_that_depend_on_every_number_of_the_seed() -> None:
    order = permuter(3, 1)(50)
    assert sorted(order) == list(range(50))
    assert not np.array_equal(order, permuter(3, 2)(50))
    assert not np.array_equal(order, permuter(4, 1)(50))


def test_orders_never_change() -> None:
    # splits of published tables hang on these numbers
    assert permuter(0, 0)(8).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]


def test_one_stream_gives_a_new_order_each_time() -> None:
    permute = permuter(0)
    assert not np.array_equal(permute(50), permute(50))
