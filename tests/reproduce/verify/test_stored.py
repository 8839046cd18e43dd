"""The draw of cells, and the experiment cut down to one of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.experiment import config
from prunebench.experiment.plan import Plan
from prunebench.reproduce.verify.stored_experiment import draw, load, reduced
from prunebench.storage.coordinates import Coordinates
from prunebench.storage.records import DENSE
from tests.reproduce.verify.conftest import GRID, Ran

EXPERIMENT = config.parse(
    {**GRID, "methods": [*GRID["methods"], "magnitude-2-4"], "sparsities": [1 / 3, 0.9]}
)
PLAN = Plan(EXPERIMENT)
CELLS = [
    cell.coordinates._replace(sparsity=round(cell.sparsity, 10))
    for baseline in PLAN.baselines
    for cell in PLAN.cells_on(baseline)
]


@settings(deadline=None)
@given(st.permutations(CELLS), st.integers(1, 60), st.integers(0, 99))
def test_a_draw_depends_on_its_seed_alone(cells: list[Coordinates], count: int, seed: int) -> None:
    found = draw(cells, count, seed)
    pruned = {cell for cell in CELLS if cell.method != DENSE}
    assert found == draw(CELLS, count, seed) == sorted(set(found))
    assert set(found) <= pruned
    assert len(found) == min(count, len(pruned))


def test_every_cell_is_drawn_by_some_seed() -> None:
    found = {cell for seed in range(200) for cell in draw(CELLS, 2, seed)}
    assert found == {cell for cell in CELLS if cell.method != DENSE}


@pytest.mark.parametrize(("cells", "count"), [(CELLS, 0), ([CELLS[0].baseline], 1)])
def test_a_draw_of_nothing(cells: list[Coordinates], count: int) -> None:
    with pytest.raises(PrunebenchError, match=r"must be at least 1|dense baselines"):
        draw(cells, count, 0)


@pytest.mark.parametrize("cell", [c for c in CELLS if c.method != DENSE and c.seed == 1], ids=str)
def test_a_reduced_experiment_has_the_cell_with_its_own_settings(cell: Coordinates) -> None:
    small = Plan(reduced(EXPERIMENT, cell))
    [baseline] = small.baselines
    [method] = small.experiment.methods
    [sparsity] = small.sparsities(method)
    assert Coordinates(*baseline.key, method.name, round(sparsity, 10)) == cell
    whole = next(b for b in PLAN.baselines if b.key == baseline.key)
    own = next(m for m in EXPERIMENT.methods if m.name == cell.method)
    # what names the result is what names it in the whole grid
    before = PLAN.cell(whole, own, sparsity).settings()
    assert small.cell(baseline, method, sparsity).settings() == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"method": "imq"}, "no method 'imq'; did you mean 'imp'?"),
        ({"task": "x"}, "no task 'x'"),
        ({"regime": "noise"}, "no regime 'noise'; did you mean 'noisy'?"),
        ({"model": "x"}, "no model 'x'"),
        ({"seed": 7}, "no such seed"),
        ({"sparsity": 0.7}, "no such sparsity"),
    ],
)
def test_a_cell_that_the_configuration_does_not_have(change: dict[str, Any], reason: str) -> None:
    cell = Coordinates("digits", "clean", "seed-cnn", 0, "imp", 0.9)._replace(**change)
    with pytest.raises(PrunebenchError) as caught:
        reduced(EXPERIMENT, cell)
    assert reason in str(caught.value)


def test_what_lies_in_a_folder(ran: Ran) -> None:
    stored = load(ran.results)
    assert len(stored.rows) == 2 * 3 * (1 + 2 + 1) == len(stored.raw)
    cell = Coordinates("digits", "noisy", "seed-cnn", 2, "imp", 0.9)
    row = stored.raw.iloc[stored.rows[cell]]
    assert (row["regime"], row["seed"], row["method"], row["sparsity"]) == (
        "noisy",
        "2",
        "imp",
        "0.9",
    )
    assert stored.provenance is not None


def test_a_folder_that_is_not_there(ran: Ran) -> None:
    with pytest.raises(PrunebenchError, match="is no folder"):
        load(ran.results / "none")
