"""Race methods: drop those that a sequential test shows worse than the leader.

An instance is a setting and a seed, on which every method that is still in the race is run once.
After each instance the method with the lowest mean loss leads, and the others are compared with it
on the instances that both have run: Student's t of the paired differences, one-sided, as in F-Race
(Birattari 2002) and irace (López-Ibáñez 2016). These look again and again at a fixed level; here
the level is spent: look k has 1/(k (k + 1)) of α, which sums to α over any number of looks, divided
by the number of methods that may lead. So the best method is dropped with probability α at most,
as far as differences are normal.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtr

from prunebench.errors import PrunebenchError
from prunebench.statistics.bootstrap import Floats
from prunebench.statistics.cell_grid import SETTING
from prunebench.statistics.cells_table import flags
from prunebench.statistics.counted_cells import choice_error, counted
from prunebench.statistics.published_results import own
from prunebench.statistics.significance import ALPHA
from prunebench.statistics.training_outcomes import column
from prunebench.storage.records import DENSE

FIRST_LOOK = 4  # instances: of fewer, a standard deviation says next to nothing
ORDERS = 200  # of a replay
REPORT_SHARE = 1 / 3  # of the seeds, at least one
INSTANCE = [*SETTING, "seed"]
Run = Callable[[Hashable, Sequence[str]], Sequence[float]]
Racer = Callable[[Sequence[str], Sequence[Hashable], Run, float], "RaceResult"]


@dataclass(frozen=True)
class RaceResult:
    """How a race ended."""

    losses: pd.DataFrame  # (instances in their order, methods); NaN: no longer in the race
    dropped: dict[str, int]  # method -> after how many instances

    @property
    def left(self) -> list[str]:
        """The methods that were not dropped, the lowest mean loss first: the winner."""
        means = self.losses.drop(columns=list(self.dropped)).mean().round(9)
        return [str(name) for name in means.sort_values(kind="stable").index]

    @property
    def runs(self) -> int:
        """How many times a method was run."""
        return int(self.losses.notna().sum().sum())


def race(
    methods: Sequence[str], instances: Sequence[Hashable], run: Run, alpha: float = ALPHA
) -> RaceResult:
    """Run methods on instances, until one is left or the instances are at an end.

    Args:
        methods: Two or more.
        instances: In a random order: what is shown of the first is to hold for all.
        run: Returns the losses of the given methods on an instance; lower is better.
        alpha: The probability with which the best method may be dropped.

    Raises:
        PrunebenchError: fewer than two methods, or no instances.
    """
    if len(methods) < 2 or not instances:
        raise PrunebenchError(
            f"race: needs two methods and an instance, found {len(methods)} and {len(instances)}"
        )
    losses = np.full((len(instances), len(methods)), np.nan)
    racing = np.arange(len(methods))
    dropped: dict[str, int] = {}
    used = 0
    for used, instance in enumerate(instances, start=1):
        losses[used - 1, racing] = run(instance, [methods[int(m)] for m in racing])
        if used < FIRST_LOOK:
            continue
        look = used - FIRST_LOOK + 1
        level = alpha / (look * (look + 1) * (len(methods) - 1))
        worse = _worse(losses[:used, racing]) <= level
        dropped |= {methods[int(m)]: used for m in racing[worse]}
        racing = racing[~worse]
        if len(racing) == 1:
            break
    table = pd.DataFrame(losses[:used], columns=list(methods))
    return RaceResult(table, dropped)


def _worse(losses: Floats) -> Floats:
    """Return for each method of (instances, methods) the p of "it is no worse than the leader"."""
    n = len(losses)
    leader = int(losses.mean(axis=0).round(9).argmin())
    differences = losses - losses[:, [leader]]
    means, spreads = differences.mean(axis=0), differences.std(axis=0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # equal losses: 0/0, no evidence
        found: Floats = stdtr(n - 1, -means / (spreads / np.sqrt(n)))
    return np.where(np.isnan(found), 1.0, found)


def halve(
    methods: Sequence[str], instances: Sequence[Hashable], run: Run, alpha: float = ALPHA
) -> RaceResult:
    """Drop the worse half of the methods again and again: successive halving (Jamieson 2016).

    What a race is compared with. It promises nothing, and saves more: the instances are shared out
    equally among as many rounds as it takes to have one method left.

    Args:
        methods: Two or more.
        instances: As many as there are rounds, or more, in a random order.
        run: As for ``race``.
        alpha: Takes no part: nothing is tested.
    """
    del alpha
    rounds = max(1, math.ceil(math.log2(len(methods))))
    losses = pd.DataFrame(np.nan, range(len(instances)), list(methods))
    racing, dropped = list(methods), dict[str, int]()
    for used, instance in enumerate(instances, start=1):
        losses.loc[used - 1, racing] = run(instance, racing)
        if used * rounds // len(instances) > (used - 1) * rounds // len(instances):
            order = losses[racing].mean().round(9).sort_values(kind="stable").index
            kept = set(order[: math.ceil(len(racing) / 2)])
            dropped |= {name: used for name in racing if name not in kept}
            racing = [name for name in racing if name in kept]
        if len(racing) == 1:
            break
    return RaceResult(losses.iloc[:used], dropped)


@dataclass(frozen=True)
class Losses:
    """What a race sees of records: losses in points (a row an instance, a column a method)."""

    choice: pd.DataFrame  # validation error minus dense's; chosen by
    test: pd.DataFrame  # test error minus dense's; reported
    seconds: pd.DataFrame  # of training and pruning
    left_out: list[str]  # methods without all sparsities on all instances

    @property
    def seeds(self) -> list[int]:
        """The seeds, in their order."""
        return sorted({int(seed) for seed in self.choice.index.get_level_values("seed")})


def curve_losses(cells: pd.DataFrame, sparsity: float | None = None) -> pd.DataFrame:
    """Return the loss of each method, the controls aside, on each instance.

    A loss is the error minus that of the same seed's dense network, in points, averaged over the
    sparsities. A network that failed errs as a constant prediction does: a method whose networks
    are often lost must not be spared.

    Args:
        cells: Checked cells.
        sparsity: The one that counts; None: all, with equal weight.

    Returns:
        A row an instance and method: ``choice`` on validation, ``test``, ``seconds`` of training
        and pruning, and ``sparsities``, how many are in the mean.

    Raises:
        PrunebenchError: no such sparsity.
    """
    cells = own(cells)
    # also where most trainings are unfinished: a race chooses methods, no sparsity
    table = counted(cells).assign(choice_error=choice_error(cells))
    control = flags(table["control"]).fillna(False).astype(bool)
    pruned = table[(table["method"] != DENSE) & (table["sparsity"] > 0) & ~control]
    if sparsity is not None:
        known = sorted(pruned["sparsity"].unique())
        if not any(np.isclose(known, sparsity)):
            raise PrunebenchError(
                f"race: no sparsity {sparsity:g}; there are {', '.join(f'{s:g}' for s in known)}"
            )
        pruned = pruned[np.isclose(pruned["sparsity"], sparsity)]
    dense = table[(table["method"] == DENSE) & (table["sparsity"] == 0)].set_index(INSTANCE)
    beside = pd.MultiIndex.from_frame(pruned[INSTANCE])
    numbers = pruned[[*INSTANCE, "method"]].assign(
        seconds=column(pruned, "train_seconds") + column(pruned, "prune_seconds").fillna(0)
    )
    for name in ("choice", "test"):
        guessed = pruned["chance"].fillna(1.0)
        errors = pruned[f"{name}_error"].where(~pruned["failed"], guessed)
        numbers[name] = 100 * (errors - dense[f"{name}_error"].reindex(beside).to_numpy())
    return (
        numbers.groupby([*INSTANCE, "method"])
        .agg(
            choice=("choice", "mean"), test=("test", "mean"), seconds=("seconds", "sum"),
            sparsities=("choice", "count"),
        )
        .reset_index()
    )  # fmt: skip


def losses_of(cells: pd.DataFrame, sparsity: float | None = None) -> Losses:
    """Return the losses of the methods of a whole grid, as ``curve_losses`` has them.

    Raises:
        PrunebenchError: no such sparsity, or fewer than two methods are complete.
    """
    curves = curve_losses(cells, sparsity)
    full = curves["sparsities"] == curves["sparsities"].max()
    choice, test = (
        curves[full].pivot(index=INSTANCE, columns="method", values=name)
        for name in ("choice", "test")
    )
    instances = curves[INSTANCE].drop_duplicates()
    complete = choice.columns[(choice.notna().sum() == len(instances)) & test.notna().all()]
    if len(complete) < 2:
        raise PrunebenchError(
            "race: fewer than two methods, controls aside, have validation errors at every"
            " sparsity and instance"
        )
    seconds = curves[full].pivot(index=INSTANCE, columns="method", values="seconds")
    left_out = sorted(set(map(str, curves["method"])) - set(map(str, complete)))
    return Losses(choice[complete], test[complete], seconds[complete], left_out)


def split_seeds(seeds: Sequence[int], generator: np.random.Generator | None = None) -> list[int]:
    """Return the seeds that are kept for the report: the last third of them, or a random one.

    Raises:
        PrunebenchError: fewer than two seeds.
    """
    if len(seeds) < 2:
        raise PrunebenchError("race: one seed cannot both select and report: give two or more")
    kept = max(1, round(len(seeds) * REPORT_SHARE))
    if generator is None:
        return list(seeds)[-kept:]
    return [int(seed) for seed in generator.choice(seeds, kept, replace=False)]


@dataclass(frozen=True)
class Replayed:
    """A race over records: what it chose and saved, on the same selection seeds as the grid."""

    result: RaceResult
    winner: str
    of_grid: str  # what all runs of the selection seeds would have chosen
    runs: int
    runs_of_grid: int
    seconds_share: float  # of the grid's, on the selection seeds
    selected: float  # the winner's loss on validation, on the instances that chose it
    reported: float  # on validation of the report seeds
    test: float  # on the test samples of the report seeds
    regret: float  # that minus the test loss of ``of_grid``

    @property
    def optimism(self) -> float:
        """How much better the winner looked where it was chosen, in points."""
        return self.reported - self.selected


def replay(
    losses: Losses,
    alpha: float,
    generator: np.random.Generator,
    report: Sequence[int],
    how: Racer = race,
) -> Replayed:
    """Race over recorded losses, on all seeds but those of the report, in a random order.

    Args:
        losses: Of the grid.
        alpha: The level of the tests.
        generator: Of the order.
        report: The seeds that do not choose.
        how: ``race``, or ``halve``.
    """
    seed = losses.choice.index.get_level_values("seed")
    told = seed.isin(report)
    selection = losses.choice[~told]
    order = [int(row) for row in generator.permutation(len(selection))]
    methods = [str(name) for name in selection.columns]
    recorded_losses: dict[Hashable, Floats] = dict(enumerate(selection.to_numpy()))
    places = {name: place for place, name in enumerate(methods)}

    def recorded(row: Hashable, names: Sequence[str]) -> Sequence[float]:
        return [float(recorded_losses[row][places[name]]) for name in names]

    found = how(methods, order, recorded, alpha)
    winner = found.left[0]
    of_grid = str(selection.mean().round(9).idxmin())
    ran = found.losses.notna().to_numpy()
    seconds = losses.seconds[~told].iloc[order[: len(ran)]].to_numpy()
    test = losses.test[told].mean()
    return Replayed(
        result=found, winner=winner, of_grid=of_grid, runs=found.runs, runs_of_grid=selection.size,
        seconds_share=float(seconds[ran].sum() / losses.seconds[~told].to_numpy().sum()),
        selected=float(found.losses[winner].mean()),
        reported=float(losses.choice[told][winner].mean()),
        test=float(test[winner]), regret=float(test[winner] - test[of_grid]),
    )  # fmt: skip


def replays(
    losses: Losses,
    alpha: float = ALPHA,
    orders: int = ORDERS,
    how: Racer = race,
) -> list[Replayed]:
    """Replay with random orders and random seeds for the report: the same for ``race`` and others.

    Args:
        losses: Of the grid.
        alpha: The level of the tests.
        orders: How many.
        how: ``race``, or ``halve``.
    """
    generator = np.random.default_rng(0)
    return [
        replay(losses, alpha, generator, split_seeds(losses.seeds, generator), how)
        for _ in range(orders)
    ]


@dataclass(frozen=True)
class Raced:
    """A race that was run, and its winner on seeds that did not choose it."""

    result: RaceResult
    methods: list[str]
    instances: int  # of the selection seeds, had all been run
    report_seeds: list[int]
    selected: float  # the winner's loss on validation, on the instances that chose it
    reported: float  # on validation of the report seeds
    test: float  # on their test samples

    @property
    def winner(self) -> str:
        """The method with the lowest mean of those left."""
        return self.result.left[0]

    @property
    def optimism(self) -> float:
        """How much better the winner looked where it was chosen, in points."""
        return self.reported - self.selected
