"""Declare the kinds of parts, and the traits that a part of each kind may have.

A kind is a class, its traits are its fields, and an instance is the decorator that marks a
function as such a part:

    @criterion(patterns=("weight",), needs=("batches",))
    def wanda(view: View) -> Scores: ...

``registry`` reads the traits from the source, and refuses one that is not declared here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, Strict

from prunebench.errors import shown
from prunebench.experiment.ranges import Range
from prunebench.experiment.validation import Settings

F = TypeVar("F", bound=Callable[..., Any])


def _names(value: Any) -> Any:
    # ("weight") is a text, not a tuple of one
    if isinstance(value, tuple | list) and all(isinstance(name, str) for name in value):
        return tuple(value)
    if value is None:
        return None
    raise ValueError(f"must be names, e.g. ('weight',), found {shown(value)}")


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
NamesOrAll = Annotated[tuple[str, ...] | None, BeforeValidator(_names)]
Needs = Annotated[
    tuple[Literal["batches", "gradients", "activations", "training"], ...], BeforeValidator(_names)
]
Supplies = Annotated[tuple[Literal["training"], ...], BeforeValidator(_names)]
# how long a part trains: not at all, as long as a recovery, as long as a baseline
Length = Literal["none", "recovery", "training"]


class Traits(Settings):
    """Traits that parts of every kind may declare."""

    model_config = ConfigDict(strict=True)
    kind: ClassVar[str]  # as the configuration and entry points write it

    ranges: dict[str, Range] = Field({})
    """Values that parameters may have: an interval such as "(0, 1]", or a tuple of words."""

    def __call__(self, function: F) -> F:
        """Return a function as it is: its traits are read from the source alone."""
        return function


class Criterion(Traits):
    """A function of a view of the network that scores every prunable unit; higher is kept."""

    kind = "criterion"

    patterns: Names = Field(("weight",), min_length=1)
    """Patterns whose units it scores; the first, or weight, is the default of a method."""
    needs: Needs = ()
    """Inputs it uses: batches, gradients, activations; training: what adds up while it lasts."""
    compensates: bool = False
    """Whether it also changes the weights that stay."""
    sweeps: bool = False
    """Whether it removes weights itself, layer after layer, so that its masks are not nested."""
    why: str = ""
    """Reason that a refusal gives where the schedule does not supply what it needs."""


class _Restricted(Traits):
    """Traits of parts that may allow their own sparsities alone."""

    sparsities: Literal["1 - n/m"] | Annotated[tuple[float, ...], Strict(False)] | None = None
    """The only sparsities it knows, or "1 - n/m" of its parameters; None: those of the grid."""


class Pattern(_Restricted):
    """A function that says which weights are removed together."""

    kind = "pattern"

    together: str | None = None
    """Its parameter that counts the neighbours among which it chooses, e.g. m of N:M."""
    whole_layers: bool = False
    """Whether it removes whole layers, so that an empty layer is no collapse."""
    units: bool = False
    """Whether it removes whole units, so that the network without them can be trained."""
    counts_alone: bool = False
    """Whether how many weights of each layer go does not depend on the scores."""


class Allocation(_Restricted):
    """A function that spreads the sparsity over the layers."""

    kind = "allocation"

    patterns: NamesOrAll = None
    """Patterns that it can spread; None: all."""
    nested: bool = False
    """Whether what a larger sparsity keeps is part of what a smaller one keeps."""
    outcome: bool | str = False
    """Whether the sparsity is an outcome, not a target; or its parameter that makes it one."""
    alone: str | None = None
    """Allocation that takes its place where a layer is pruned on its own."""
    compares: Literal["network", "layer", "row", "nothing"] = "network"
    """Where the lowest scores go: of the network, a layer, a row; nothing: what goes is drawn."""
    schedules: NamesOrAll = None
    """Schedules that it goes with; None: all."""
    counts_alone: bool = False
    """Whether how many units of each layer go does not depend on the scores."""
    tries: bool = False
    """Whether it tries networks on calibration data before it chooses: it is given a Trial."""
    why: str = ""
    """Reason that a refusal gives where a schedule or a criterion does not go with it."""


class Schedule(_Restricted):
    """A function that says when weights are removed."""

    kind = "schedule"

    patterns: NamesOrAll = None
    """Patterns that it can remove; None: all."""
    recoveries: NamesOrAll = None
    """Recoveries that may follow it; None: all."""
    length: Length = "none"
    """How long it trains without the recovery: none, recovery or training (as a baseline)."""
    supplies: Supplies = ()
    """Inputs it gives to a criterion that needs them: training."""
    passes: bool = False
    """Whether it passes smaller sparsities on its way to a larger one."""
    untrained: bool = False
    """Whether it prunes before any training."""
    why: str = ""
    """Reason that a refusal gives where the recovery cannot follow it."""


class Recovery(Traits):
    """A function that trains a network after a removal."""

    kind = "recovery"

    length: Length = "none"
    """How long it trains: none, recovery (recovery_epochs) or training (as a baseline)."""
    from_scratch: bool = False
    """Whether it trains from an initialization, and so has no use for the baseline."""
    stops: bool = False
    """Whether it ends at a state chosen on validation, not at the end of its training."""
    regularizes: bool = False
    """Whether it keeps a network from fitting its labels on purpose."""
    distils: bool = False
    """Whether it trains towards another network's outputs: the kind of task must measure that."""
    batch_norms: bool = False
    """Whether it works on batch norms alone, and is refused where a network has none."""


class Probe(Traits):
    """A function of a stored network that measures some columns of its record."""

    kind = "probe"

    columns: dict[str, str] = Field({})
    """Its columns, and the formula of each."""
    better: Literal["lower", "higher", "zero", ""] = ""
    """Where the columns are better: lower, higher, zero; empty: nowhere."""
    unit: str | dict[str, str] = ""
    """Unit of all columns, or of each."""
    source: str = ""
    """Papers that define the columns."""
    kinds: tuple[str, ...] = ()
    """Kinds of tasks that have the columns; empty: all."""


class Measure(Traits):
    """A function of a cell's stored predictions that gives a number, or None without one."""

    kind = "measure"

    better: Literal["lower", "higher", "zero", ""] = ""
    """Where it is better: lower, higher, zero; empty: nowhere."""
    unit: str = "1"
    """Its unit."""
    formula: str = ""
    """Its formula."""
    source: str = ""
    """Paper that defines it."""


class Figure(Traits):
    """A function of the records that draws a figure, or returns None where they lack its data."""

    kind = "figure"

    caption: str = ""
    """What it shows and how to read it; empty: the first line of its docstring."""
    per_task: bool = False
    """Whether each task has such a figure of its own."""


class Engine(Traits):
    """A function that makes a network run, to measure how long it takes."""

    kind = "engine"


class TaskKindTraits(Traits):
    """A kind of task: a function that returns its class."""

    kind = "task_kind"

    inputs: Names = Field(("pixels",), min_length=1)
    """Forms of inputs that it takes: pixels, features, tokens, pairs."""
    targets: Literal["classes", "values", "tokens", "boxes"] = "classes"
    """What is to be predicted."""
    error: str = "error"
    """Name of the error by which cells are ranked, for axes, tables and captions."""
    formula: str = ""
    """Its formula."""
    unit: str = "share"
    """What a point of it is a hundredth of."""
    noises: Names = Field(("symmetric",), min_length=1)
    """Kinds of label noise that it knows."""
    memorizes: bool = True
    """Whether networks learn every training target in it, where nothing hinders them."""
    augments: bool = True
    """Whether its images can be cropped and flipped while their targets stay."""
    distils: bool = False
    """Whether it measures how far outputs are from a teacher's, as distillation asks."""


class Network(Traits):
    """A network that ships: a function that returns what builds it."""

    kind = "network"

    inputs: Names = Field(("pixels",), min_length=1)
    """Forms of inputs that it takes: pixels, features, tokens, pairs."""


# as decorators; what they are given must be literals
criterion = Criterion
pattern = Pattern
allocation = Allocation
schedule = Schedule
recovery = Recovery
probe = Probe
measure = Measure
figure = Figure
engine = Engine
network = Network
task_kind = TaskKindTraits

KINDS: dict[str, type[Traits]] = {
    kind.kind: kind
    for kind in (
        Criterion,
        Pattern,
        Allocation,
        Schedule,
        Recovery,
        Probe,
        Measure,
        Figure,
        Engine,
        Network,
        TaskKindTraits,
    )
}
