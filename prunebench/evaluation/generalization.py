"""Measures of quality from stored predictions, in double precision, with numpy alone.

``quality`` returns every measure of predictions, those of ``harm`` and of the kinds of tasks
included.
"""

from __future__ import annotations

from dataclasses import replace

from prunebench.evaluation import harm
from prunebench.experiment import registry
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.storage.layout import STOPPED
from prunebench.storage.records import AT_STOP, QUALITY
from prunebench.tasks.predictions import Floats, Measure, MeasureTable, Predictions, Targets
from prunebench.tasks.task_kind import kind_class

TABLE = MeasureTable()


@TABLE.per_split(
    better="lower", unit="share", formula="mean(e); of classes e = [ŷ ≠ y]", source="Vapnik 1998"
)
def error(p: Predictions, split: str) -> float | None:
    """Error of the kind of task, in [0, 1]: of classes the share that is wrong."""
    return p.kind.error(*p.pair(split))


@TABLE.per_split(better="lower", unit="nat", formula="mean(−log p_y)", source="Good 1952")
def nll(p: Predictions, split: str) -> float | None:
    """Mean negative log-likelihood of the targets."""
    return _mean(p.kind.nlls(*p.pair(split)))


@TABLE.per_split(
    better="lower", unit="1", formula="mean(Σ_k (p_k − [y = k])²), of values mean((f − y)²)",
    source="Brier 1950",
)  # fmt: skip
def mse(p: Predictions, split: str) -> float | None:
    """Mean squared distance of the probabilities to the one-hot label, or of values to theirs."""
    return _mean(p.kind.squares(*p.pair(split)))


def _mean(values: Floats | None) -> float | None:
    return None if values is None else float(values.mean())


@TABLE.measure(
    better="lower", unit="share", formula="mean(e) on targets as noisy as ỹ", source="Chen 2021"
)
def noisy_val_error(p: Predictions) -> float | None:
    """Error on validation targets that carry the noise of the training targets."""
    return None if p.noisy_val is None else p.kind.error(p.outputs["val"], p.noisy_val)


@TABLE.measure(
    better="lower", unit="share", formula="test_error − train_error", source="Vapnik 1998"
)
def generalization_gap(p: Predictions) -> float:
    """Test error minus training error, against the targets trained on."""
    test, train = (p.kind.error(*p.pair(split)) for split in ("test", "train"))
    return test - train


@TABLE.measure(
    better="", unit="share", formula="mean(e(ỹ) < e(y)) where ỹ ≠ y; of classes ŷ = ỹ",
    source="Arpit 2017",
)  # fmt: skip
def memorized(p: Predictions) -> float | None:
    """Share of the mislabelled training samples whose prediction is the wrong target, or nearer.

    Of two targets, one the source's and one trained on, the nearer is that of the lower error.
    """
    return _share_nearer(p, p.targets["train"], p.clean)


@TABLE.measure(
    better="higher", unit="share", formula="mean(e(y) < e(ỹ)) where ỹ ≠ y; of classes ŷ = y",
    source="Liu 2020, fig. 1",
)  # fmt: skip
def recovered(p: Predictions) -> float | None:
    """Share of the mislabelled training samples whose prediction is the true target, or nearer."""
    return _share_nearer(p, p.clean, p.targets["train"])


@TABLE.measure(
    better="lower", unit="share", formula="mean(e − e₀), e₀ of the dense baseline",
    source="Angelopoulos 2021",
)  # fmt: skip
def val_rise(p: Predictions) -> float | None:
    """Error of validation samples minus the dense baseline's, on labels as noisy as training's.

    Empty where the error is no mean over samples of errors in [0, 1].
    """
    return _mean(_rises(p))


@TABLE.measure(better="", unit="1", formula="mean((e − e₀)²)", source="Fan 2015")
def val_rise_square(p: Predictions) -> float | None:
    """Mean square of what val_rise is the mean of: how many samples' errors change at all."""
    rises = _rises(p)
    return None if rises is None else float((rises**2).mean())


def _rises(p: Predictions) -> Floats | None:
    """Return e − e₀ of each validation sample; None where tests of samples say nothing of e."""
    if p.baseline_val is None:
        return None
    own, dense = (
        p.kind.tested_errors(p.kind.read(stored), p.choice_targets)
        for stored in (p.stored["val"], p.baseline_val)
    )
    return None if own is None or dense is None else own - dense


def _share_nearer(p: Predictions, wanted: Targets, other: Targets) -> float | None:
    differ = (wanted != other).reshape(len(wanted), -1).any(1)
    if not differ.any():
        return None
    found = p.outputs["train"]
    nearer = p.kind.errors(found, wanted) < p.kind.errors(found, other)
    return float(nearer[differ].mean())


@TABLE.measure(
    better="", unit="share", formula="val_error just after − val_error just before",
    source="Bartoldson 2020",
)  # fmt: skip
def instability(p: Predictions) -> float | None:
    """Rise of the validation error at the moment of pruning, before any recovery."""
    if p.val_before is None or p.val_after is None:
        return None
    kind, targets = p.kind, p.targets["val"]
    before, after = (kind.error(kind.read(each), targets) for each in (p.val_before, p.val_after))
    return after - before


def _at_stop(measure: Measure) -> Measure:
    """Return a measure of the state at which early stopping would have ended the training."""
    name, compute = f"{STOPPED}{measure.column}", measure.compute
    summary = f"{measure.summary.rstrip('.')}, where early stopping would have ended the training."
    return replace(measure, column=name, summary=summary, compute=lambda p: compute(p.at_stop))


_TAKEN: dict[str, Measure] = {**TABLE, **harm.TABLE}
for _kind in registry.builtin(TaskKindTraits):
    _TAKEN |= kind_class(_kind).measures
_TAKEN |= {each.column: each for each in (_at_stop(_TAKEN[column]) for column in AT_STOP)}
# in the order of the record
MEASURES: dict[str, Measure] = {column: _TAKEN[column] for column in QUALITY if column in _TAKEN}


def quality(predictions: Predictions) -> dict[str, float | None]:
    """Return every measure of a cell's predictions, by column; None is empty.

    Measures that this kind of task does not have are empty.
    """
    kind = predictions.kind.name
    return {
        column: item.compute(predictions) if item.kinds is None or kind in item.kinds else None
        for column, item in MEASURES.items()
    }
