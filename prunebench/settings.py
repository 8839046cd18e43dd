"""What may stand in a configuration: frozen, checked settings. Never torch."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue, field_validator, model_validator

from prunebench import components
from prunebench.errors import PrunebenchError, suggest
from prunebench.records import DENSE
from prunebench.validation import Settings, validated

PARTS = ("criterion", "pattern", "allocation", "schedule", "recovery")  # of a method
SCORING = ("criterion", "pattern", "allocation")  # the parts that choose what goes


def _name(value: Any) -> Any:
    """A name as text: YAML reads ``8`` as a number, and ``no`` as a boolean."""
    if isinstance(value, bool):
        raise ValueError("quote it: YAML reads this as a boolean")
    return str(value) if isinstance(value, int | float) else value


# a name becomes a folder, a column's value and a wildcard of the DAG
Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=64),
    BeforeValidator(_name),
]
Share = Annotated[float, Field(ge=0, lt=1)]


class Augmentation(Settings):
    """Random crop after padding by ``crop`` pixels, random horizontal flip."""

    crop: int = Field(0, ge=0)
    flip: bool = False


class Task(Settings):
    """A data set and its splits."""

    name: Name
    source: str = Field(description="digits, torchvision, folder, parquet or medmnist")
    dataset: str | None = Field(None, description="torchvision's class, e.g. CIFAR10")
    path: str | None = Field(None, description="local data; nothing is then downloaded")
    image_size: int | None = Field(None, ge=4, description="pixels; empty keeps the size")
    mode: Literal["native", "grey", "rgb"] = "native"
    train: int | None = Field(None, gt=0)
    val: int | float = Field(0.1, gt=0, description="a number, or a share of the training split")
    test: int | None = Field(None, gt=0)
    split_seed: int = Field(0, ge=0)
    augmentation: Augmentation = Augmentation()

    @field_validator("val")
    @classmethod
    def _share_or_number(cls, value: int | float) -> int | float:
        if isinstance(value, float) and value >= 1:
            raise ValueError("a share must be less than 1 (a number of images has no point)")
        return value

    @field_validator("source")
    @classmethod
    def _known_source(cls, value: str) -> str:
        folder = Path(__file__).parent / "tasks" / "sources"
        known = [file.stem for file in folder.glob("[!_]*.py")]
        if value not in known:
            raise ValueError(f"unknown source {value!r}{suggest(value, known)}")
        return value


class Regime(Settings):
    """What provokes overfitting."""

    name: Name
    label_noise: Share = Field(0.0, description="share of training labels set to another class")
    noise: Literal["symmetric", "asymmetric", "pair-flip"] = "symmetric"
    class_map: dict[Annotated[int, Field(ge=0)], Annotated[int, Field(ge=0)]] = Field(
        {}, description="of asymmetric noise: a class, and the one its samples are mislabelled as"
    )
    noisy_val: bool = Field(False, description="also keep validation labels with such noise")
    train_fraction: float = Field(1.0, gt=0, le=1)
    train_samples: int | None = Field(None, gt=0, description="in place of train_fraction")
    augmentation: bool = False
    width: float = Field(1.0, gt=0, description="factor on the channels of the network")
    training: dict[str, JsonValue] = Field(
        {}, description="what differs from the common training: fewer samples need more epochs"
    )

    @field_validator("class_map", mode="before")
    @classmethod
    def _no_booleans(cls, value: Any) -> Any:
        pairs = value.items() if isinstance(value, dict) else ()
        if any(isinstance(number, bool) for pair in pairs for number in pair):
            raise ValueError("classes are numbers, not booleans")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Regime:
        if self.train_samples is not None and self.train_fraction != 1:
            raise ValueError("train_fraction and train_samples: give one of the two")
        if (self.noise == "asymmetric") != bool(self.class_map):
            raise ValueError("class_map and noise: asymmetric need each other")
        if same := [c for c, other in self.class_map.items() if c == other]:
            raise ValueError(f"class_map: class {same[0]} must go to another class")
        if self.noise != "symmetric" and "label_noise" not in self.model_fields_set:
            raise ValueError(f"noise: {self.noise} needs a label_noise")
        if self.noisy_val and not self.label_noise:
            raise ValueError("noisy_val needs a label_noise above 0")
        return self


class Training(Settings):
    """One training run of a baseline, and what recoveries take from it."""

    epochs: int = Field(40, gt=0, le=1_000_000)
    recovery_epochs: int | None = Field(
        None, gt=0, le=1_000_000, description="of fine-tuning; default: epochs"
    )
    batch_size: int = Field(128, gt=1)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(0.1, gt=0)
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    milestones: list[float] = Field([0.5, 0.75], description="of step: shares of the epochs")
    gamma: float = Field(0.1, gt=0, le=1)
    warmup_epochs: float = Field(0.0, ge=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    nesterov: bool = True
    weight_decay: float = Field(5e-4, ge=0, description="not on norms and biases")
    gradient_clip: float | None = Field(None, gt=0, description="largest norm of the gradient")
    validate_every: int = Field(1, gt=0, description="epochs between two looks at validation")
    rewind_epochs: list[int] = Field([], description="epochs whose weights a rewinding may ask for")

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        if self.warmup_epochs >= self.epochs:
            raise ValueError("warmup_epochs must be fewer than epochs")
        if any(not 0 < epoch < self.epochs for epoch in self.rewind_epochs):
            raise ValueError(f"rewind_epochs must lie between 1 and {self.epochs - 1}")
        return self


class Model(Settings):
    """A network: ``seed-cnn``, ``resnet20``, or any name that ``timm.create_model`` knows."""

    name: Name
    architecture: str = Field("", description="default: the name")
    arguments: dict[str, JsonValue] = Field({}, description="further arguments of the constructor")
    stem: Literal["original", "small"] = Field(
        "original", description="small: stride 1 and no pooling, for images of 32×32 and less"
    )
    pretrained: bool = False
    training: dict[str, JsonValue] = Field({}, description="what differs from the common training")

    @model_validator(mode="before")
    @classmethod
    def _architecture(cls, value: Any) -> Any:
        if isinstance(value, dict) and "name" in value and not value.get("architecture"):
            value = {**value, "architecture": str(value["name"])}
        return value


class Part(Settings):
    """A part of a method with all its parameters."""

    name: str
    parameters: dict[str, Any] = Field({})


class First(Settings):
    """Pruning that comes before a method's own in the same step, e.g. of filters before weights."""

    criterion: Part
    pattern: Part
    allocation: Part
    share: float = Field(0.5, ge=0, lt=1, description="it leaves a density of density ** share")

    def spec(self, kind: str) -> components.Spec:
        """What is known of one of its parts."""
        return components.find(kind, getattr(self, kind).name)


class Method(Settings):
    """A composition of criterion, pattern, allocation, schedule and recovery."""

    name: Name
    family: Literal["weight", "activation", "structure", "hybrid"]
    description: str = ""
    paper: str = ""
    criterion: Part
    pattern: Part
    allocation: Part
    schedule: Part
    recovery: Part
    first: First | None = None
    control: bool = Field(False, description="it is there to compare with, no candidate itself")

    def spec(self, kind: str) -> components.Spec:
        """What is known of one of its parts."""
        return components.find(kind, getattr(self, kind).name)

    @property
    def outcome(self) -> bool:
        """Whether its sparsity is an outcome, not a target."""
        return bool(self.spec("allocation").trait("outcome", False))

    @property
    def nested(self) -> bool:
        """Whether what a larger sparsity keeps is part of what a smaller one keeps."""
        once = self.schedule.parameters.get("rounds", 1) == 1 and self.first is None
        once = once and not self.spec("criterion").trait("sweeps", False)
        return once and bool(self.spec("allocation").trait("nested", False))

    def sources(self) -> list[Path]:
        """The files in which its parts stand."""
        specs = [self.spec(kind) for kind in PARTS]
        specs += [self.first.spec(kind) for kind in SCORING] if self.first else []
        return sorted({spec.source for spec in specs})

    def sparsities(self, grid: list[float]) -> list[float]:
        """The grid's, or the only ones it knows: 1 − n/m of N:M; 0, which asks for none in
        particular, of a dense control and of a threshold."""
        for kind in ("schedule", "pattern", "allocation"):
            own = self.spec(kind).trait("sparsities")
            if own == "1 - n/m":
                return [1 - self.pattern.parameters["n"] / self.pattern.parameters["m"]]
            if own:
                return list(own)
        return grid

    def settings(self) -> dict[str, Any]:
        """What decides its results (not its name, family, or description)."""
        first = {"first": self.first.model_dump()} if self.first else {}
        return {kind: getattr(self, kind).model_dump() for kind in PARTS} | first


class Compute(Settings):
    """How jobs run. Threads come from here, never from the machine, so that bits agree."""

    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    threads: int = Field(1, gt=0)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    baselines_per_job: int = Field(1, gt=0)
    curves_per_job: int = Field(1, gt=0, description="curves of one method that share a process")


class Prunable(Settings):
    """Which weights may be pruned, beyond convolutions, linear layers and embeddings."""

    head: bool = False
    exclude: list[str] = Field([], description="patterns of parameter names, e.g. '*.downsample.*'")


class Analysis(Settings):
    """How the records are judged: declared before the run, without influence on what is computed.

    Sizes are in points of test error.
    """

    primary: list[Name] = Field(
        [], description="the family of methods that Holm adjusts for; empty: all but the controls"
    )
    equivalence: float = Field(0.5, gt=0, description="± points: the region of equivalence")
    alpha: float = Field(0.05, gt=0, lt=1, description="level of significance")


class Probes(Settings):
    """What to look at the stored weights with, once they are there."""

    run: list[str] = Field([], description="corruptions, distance, sharpness")
    samples: int = Field(250, gt=0, description="images that a probe looks at")

    @field_validator("run")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        return [components.find("probe", name).name for name in dict.fromkeys(value)]


class Experiment(Settings):
    """A grid: every method on every baseline at every sparsity."""

    experiment: Name
    tasks: list[Task] = Field(min_length=1)
    regimes: list[Regime] = Field(min_length=1)
    models: list[Model] = Field(min_length=1)
    seeds: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    methods: list[Method] = Field(min_length=1)
    sparsities: list[Share] = Field(min_length=1)
    training: Training = Training()
    compute: Compute = Compute()
    prunable: Prunable = Prunable()
    probes: Probes = Probes()
    analysis: Analysis = Analysis()

    @field_validator("seeds", "sparsities")
    @classmethod
    def _unique_numbers(cls, values: list[Any]) -> list[Any]:
        # as a cell's folder is named: ten digits
        texts = [f"{value:.10g}" if isinstance(value, float) else str(value) for value in values]
        doubled = sorted({text for text in texts if texts.count(text) > 1})
        if doubled:
            raise ValueError(f"given more than once: {', '.join(doubled)}")
        return sorted(values)

    @field_validator("sparsities")
    @classmethod
    def _no_dense(cls, values: list[float]) -> list[float]:
        if 0 in values:
            raise ValueError("0 is the dense baseline, which every grid has: leave it out")
        return values

    @field_validator("tasks", "regimes", "models", "methods")
    @classmethod
    def _unique_names(cls, values: list[Any]) -> list[Any]:
        names = [value.name for value in values]
        # folders that ignore case, and rules of the DAG, know only letters and digits
        alike = [re.sub(r"\W", "_", name).casefold() for name in names]
        doubled = [name for name, key in zip(names, alike, strict=True) if alike.count(key) > 1]
        if len(set(doubled)) == 1:
            raise ValueError(f"named more than once: {doubled[0]}")
        if doubled:
            raise ValueError(f"named too much alike: {', '.join(doubled)}")
        if DENSE in names:
            raise ValueError(f"{DENSE!r} is the baseline's own name")
        return values

    @model_validator(mode="after")
    def _checked(self) -> Experiment:
        for model, regime in product(self.models, self.regimes):
            training = self.training_of(model, regime)
            for method in self.methods:
                _check_rewinding(method, training)
        names = [method.name for method in self.methods]
        for name in self.analysis.primary:
            if name not in names:
                raise PrunebenchError(f"analysis: primary: no method {name!r}{suggest(name, names)}")
        return self

    def training_of(self, model: Model, regime: Regime) -> Training:
        """The common training with what the model's entry changes, then the regime's."""
        given = self.training.model_dump()
        for kind, entry in (("models", model), ("regimes", regime)):
            given |= entry.training
            checked = validated(Training, given, f"{kind}: {entry.name}: training")
        return checked


def _check_rewinding(method: Method, training: Training) -> None:
    epoch = method.recovery.parameters.get("to_epoch", 0)
    if epoch and method.spec("schedule").trait("untrained", False):
        raise PrunebenchError(
            f"methods: {method.name}: schedule {method.schedule.name!r} trains from epoch 0: there"
            f" is no epoch {epoch} to go back to"
        )
    if epoch and epoch not in training.rewind_epochs:
        raise PrunebenchError(
            f"methods: {method.name}: recovery {method.recovery.name!r} goes back to epoch {epoch},"
            f" which is not kept: add it to training.rewind_epochs {training.rewind_epochs}"
        )
