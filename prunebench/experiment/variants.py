"""Methods at other lengths of recovery, and controls with the budget of the longest method."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment.budget import budget
from prunebench.experiment.part_kinds import Recovery
from prunebench.experiment.settings import Experiment, Method, Training

_TIMES = "times"  # the parameter of a recovery that repeats the baseline's schedule


def at_lengths(methods: list[Method], common: Any) -> list[Method]:
    """Return the methods, each followed by itself at every other length of recovery.

    ``magnitude`` at length 10 is ``magnitude-10x``. A method whose recovery does not train, or
    whose length the configuration sets, has no others. A variant that stands there already, as in
    a resolved configuration, is not added again.

    Args:
        methods: checked methods.
        common: ``recovery_lengths`` of the configuration, which a method's own go before; other
            than a list of numbers it is refused later, with all the other settings.
    """
    numbers = isinstance(common, list) and all(type(n) in (int, float) for n in common)
    there = {(method.name, method.base_method, method.length) for method in methods}
    found = []
    for method in methods:
        found.append(method)
        own = method.recovery_lengths
        lengths = own if own is not None else common if numbers else []
        for length in sorted(lengths) if _stretches(method) else ():
            name = f"{method.name}-{length:g}x"
            if length != 1 and (name, method.name, length) not in there:
                changed: dict[str, Any] = {"name": name, "length": float(length)}
                changed |= {"base_method": method.name, "recovery_lengths": None}
                found.append(method.model_copy(update=changed))
    return found


def _stretches(method: Method) -> bool:
    own = method.length != 1 or (method.budget == "longest" and not _repeats(method))
    return not own and method.spec(Recovery).traits.length != "none"


def _repeats(method: Method) -> bool:
    return _TIMES in method.recovery.parameters


def with_budgets(experiment: Experiment) -> Experiment:
    """Return the experiment with every ``budget: longest`` resolved.

    A recovery that can repeat the baseline's schedule does so as often as needed; any other lasts
    as much longer. Controls, other lengths and sparsities below the largest do not count as the
    longest.

    Args:
        experiment: a checked experiment.

    Raises:
        PrunebenchError: a method's epochs are not known, or none of its trainings can be longer.
    """
    if all(method.budget == "own" for method in experiment.methods):
        return experiment
    trainings = [
        experiment.training_of(model, regime)
        for model, regime in product(experiment.models, experiment.regimes)
    ]
    candidates = [
        method
        for method in experiment.methods
        if method.budget == "own" and method.length == 1 and not method.control
    ]
    resolved = []
    for method in experiment.methods:
        if method.budget == "longest":
            method = _lengthened(method, candidates, trainings, experiment.sparsities)
        resolved.append(method)
    return experiment.model_copy(update={"methods": resolved})


def _lengthened(
    method: Method, candidates: list[Method], trainings: list[Training], sparsities: list[float]
) -> Method:
    def longest(training: Training) -> float:
        known = (budget(m, training, m.sparsities(sparsities)[-1]) for m in candidates)
        return max((epochs for epochs in known if epochs is not None), default=0.0)

    def needed(at: Callable[[int], Method]) -> float:
        """Return n for which ``at(n)`` has the longest budget in every training; 1 at least."""
        found = [1.0]
        for training in trainings:
            once, twice = (budget(at(n), training, sparsities[-1]) for n in (1, 2))
            if once is None or twice is None or once == twice:
                raise PrunebenchError(
                    f"methods: {method.name}: budget: longest: recovery"
                    f" {method.recovery.name!r} has no epochs to lengthen: take budget: own"
                )
            found.append(1 + (longest(training) - once) / (twice - once))
        return max(found)

    plain = method.model_copy(update={"length": 1})
    if not _repeats(method):
        length = needed(lambda n: plain.model_copy(update={"length": n}))
        return method.model_copy(update={"length": round(length, 4)})
    times = needed(lambda n: _repeated(plain, n))
    return _repeated(method, math.ceil(round(times, 6)))


def _repeated(method: Method, times: int) -> Method:
    """Return a method whose recovery repeats the baseline's schedule so many times."""
    given = {**method.recovery.parameters, _TIMES: times}
    recovery = method.recovery.model_copy(update={"parameters": given})
    return method.model_copy(update={"recovery": recovery})
