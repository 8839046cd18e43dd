"""Settings of methods: compositions of criterion, pattern, allocation, schedule and recovery."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field

from prunebench.experiment import registry
from prunebench.experiment.part_kinds import (
    KINDS,
    Allocation,
    Criterion,
    Pattern,
    Schedule,
    Traits,
)
from prunebench.experiment.settings.names import Length, Name
from prunebench.experiment.validation import Settings

PARTS = ("criterion", "pattern", "allocation", "schedule", "recovery")  # of a method
SCORING = ("criterion", "pattern", "allocation")  # the parts that choose what is removed
T = TypeVar("T", bound=Traits)


class Part(Settings):
    """A part of a method with all its parameters."""

    name: str
    """Name of a part that ships, path/to/file.py:function, or package.module:function."""
    parameters: dict[str, Any] = Field({})
    """Its parameters, by name."""


class _Composed(Settings):
    """Settings that have parts, each in a field named by its kind."""

    def spec(self, kind: type[T]) -> registry.Spec[T]:
        """Return its part of a kind, as far as it is known without importing it."""
        return registry.find(kind, getattr(self, kind.kind).name)


class First(_Composed):
    """Pruning that comes before a method's own in the same step, e.g. of filters before weights."""

    criterion: Part
    """How this step scores what can be removed."""
    pattern: Part
    """Weights that this step removes together."""
    allocation: Part
    """How this step spreads its sparsity over the layers."""
    share: float = Field(0.5, ge=0, lt=1)
    """Exponent of what this step leaves: of a target density d it leaves d ** share."""


class Method(_Composed):
    """A composition of criterion, pattern, allocation, schedule and recovery."""

    name: Name
    """Name of the method, as tables show it."""
    family: Literal["weight", "activation", "structure", "hybrid"]
    """Column family; default: what follows from criterion and pattern."""
    description: str = ""
    """The method in a sentence."""
    paper: str = ""
    """Where it is described: first author and year, e.g. Han 2015."""
    criterion: Part
    """How prunable units are scored: magnitude, snip, wanda, path/to/file.py:function, …"""
    pattern: Part
    """Weights that go together: weight, n-m, filter, block; default: the criterion's first."""
    allocation: Part
    """How the sparsity is spread over the layers: global (default), uniform, erk, lamp, …"""
    schedule: Part
    """When weights are removed: one-shot (default), iterative, gradual, at-initialization, …"""
    recovery: Part
    """Training after the removal: fine-tuning (default), weight-rewinding, none, …"""
    first: First | None = None
    """Another pruning that comes before in the same step, e.g. of filters before weights."""
    control: bool = False
    """Whether it is there to compare with, and is no candidate itself."""
    recovery_lengths: list[Length] | None = None
    """Lengths at which this method is also run, where not at those of the whole grid."""
    length: Length = 1
    """Times the declared epochs that each training of its recovery lasts."""
    base_method: str = ""
    """The method whose recovery it runs at another length; default: its own name."""
    budget: Literal["own", "longest"] = "own"
    """Epochs of its recovery: its own, or as many as the longest method of the grid needs."""

    @property
    def outcome(self) -> bool:
        """Whether the sparsity is an outcome, not a target."""
        trait = self.spec(Allocation).traits.outcome
        if isinstance(trait, str):  # a parameter that makes it one
            return bool(self.allocation.parameters[trait])
        return trait

    @property
    def nested(self) -> bool:
        """Whether what a larger sparsity keeps is part of what a smaller one keeps."""
        once = self.schedule.parameters.get("rounds", 1) == 1 and self.first is None
        swept = self.spec(Criterion).traits.sweeps
        return once and not swept and self.spec(Allocation).traits.nested

    @property
    def units(self) -> bool:
        """Whether it removes whole units, so that the network without them can be trained."""
        patterns = [self, self.first] if self.first else [self]
        return any(part.spec(Pattern).traits.units for part in patterns)

    def sources(self) -> list[Path]:
        """Return the files of its parts."""
        specs = [self.spec(KINDS[kind]) for kind in PARTS]
        specs += [self.first.spec(KINDS[kind]) for kind in SCORING] if self.first else []
        return sorted({spec.source for spec in specs})

    def sparsities(self, grid: list[float]) -> list[float]:
        """Return the target sparsities of its cells.

        They are those of the grid, or the only ones that the method knows: 1 − n/m for N:M, and 0
        for a dense control and where the sparsity is an outcome, as of a threshold or a budget.

        Args:
            grid: the sparsities of the experiment.
        """
        if self.outcome:
            return [0.0]
        for kind in (Schedule, Pattern, Allocation):
            own = self.spec(kind).traits.sparsities
            if own == "1 - n/m":
                return [1 - self.pattern.parameters["n"] / self.pattern.parameters["m"]]
            if own:
                return list(own)
        return grid

    def settings(self) -> dict[str, Any]:
        """Return the settings that decide its results: not its name, family, or description."""
        first = {"first": self.first.model_dump()} if self.first else {}
        length = {"length": self.length} if self.length != 1 else {}
        return {kind: getattr(self, kind).model_dump() for kind in PARTS} | first | length
