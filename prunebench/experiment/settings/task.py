"""Settings of tasks, which are data sets, and of regimes, which provoke overfitting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from prunebench.errors import suggest
from prunebench.experiment import registry
from prunebench.experiment.hub_dataset import HubDataset
from prunebench.experiment.hub_name import HubName
from prunebench.experiment.own_code import OwnCode
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.experiment.settings.names import Count, Name, Seed, Share
from prunebench.experiment.sources import TASK_SOURCES, modules
from prunebench.experiment.validation import Settings

OF_HUB = ("parquet", "text", "table")  # sources that read Parquet of the hub
UNITS = ("characters", "words")  # that texts are cut into without a tokenizer


class Augmentation(Settings):
    """Random changes of training images."""

    crop: int = Field(0, ge=0, le=256)
    """Pixels to pad on each side before a random crop to the image's size; 0: no crop."""
    flip: bool = False
    """Whether half of the images, drawn at random, are mirrored left to right."""


class Speech(Settings):
    """How recordings become images: bands of the mel scale over time."""

    rate: int | None = Field(None, ge=1000, le=384_000)
    """Samples a second to resample recordings to; empty: all must have the same rate."""
    mels: int = Field(32, ge=4, le=512)
    """Number of bands of the mel scale, the height of the images."""
    window: float = Field(32.0, gt=0, le=1000)
    """Milliseconds of sound that each frame shows."""
    hop: float = Field(16.0, gt=0, le=1000)
    """Milliseconds from one frame to the next."""
    words: int | None = Field(None, ge=1, le=100)
    """The most words said in a row, with a transcript as target; empty: one word, a class."""
    seconds: float | None = Field(None, gt=0, le=3600)
    """Longest recording of sentences that is taken, longer ones are left out; empty: all."""


class Task(Settings):
    """A data set and its splits."""

    name: Name
    """Name of the task."""
    kind: str = "classification"
    """Kind of task: what is predicted, its loss and its error; `prunebench kinds` lists them."""
    source: str
    """Source of the data: digits, torchvision, folder, parquet, medmnist, tiny-imagenet, …"""
    dataset: str | None = None
    """Data set of the source: for torchvision the name of its class, e.g. CIFAR10."""
    path: str | None = None
    """Local data; nothing is then downloaded. For source own: file.py:function, or a .npz file."""
    hub: str | None = None
    """Parquet data set of the Hugging Face Hub: owner/name, owner/name/subset, also @revision."""
    keys: dict[str, str] = Field({})
    """Names in a .npz file: {train_inputs: x_train, train_targets: y_train, …}; empty: as those."""
    image_size: int | None = Field(None, ge=4, le=8192)
    """Pixels of a side to which images are resized; empty keeps their size."""
    mode: Literal["native", "grey", "rgb"] = "native"
    """Channels: native keeps the source's, grey makes one, rgb three."""
    tokens: str = "words"
    """What texts are cut into: characters, words between white space, or hf:owner/name's tokens."""
    length: int | None = Field(None, ge=1, le=1_000_000)
    """Tokens of a text, or frames of a recording: cut or padded; empty: the longest in training."""
    vocabulary: int | None = Field(None, ge=5, le=10_000_000)
    """Most tokens that are known, the commonest of training; the rest are one; empty: all."""
    input: str | None = None
    """Column of the texts or recordings in a table, or ending of the source language's files."""
    target: str | None = None
    """Column of the targets in a table, or ending of the files in the target language."""
    speech: Speech = Speech()
    """How recordings become images."""
    range: Annotated[list[float], Field(min_length=2, max_length=2)] | None = None
    """Lowest and highest rating of a table, [1, 5]: others are refused; empty: of what is there."""
    train: Count | None = None
    """Number of training samples; empty takes all that validation and test leave."""
    val: int | float = Field(0.1, gt=0, le=1_000_000_000)
    """Validation samples: a number, or a share (below 1) of the training split."""
    test: Count | None = None
    """Number of test samples; empty takes all of the source's own test split."""
    calibration: Count | Annotated[float, Field(gt=0, lt=1)] | None = None
    """Samples kept out of training for methods to look at: a number or share; empty: training's."""
    split_seed: Seed = 0
    """Seed of the draw of the splits, the same for all seeds of an experiment."""
    augmentation: Augmentation = Augmentation()
    """Augmentation, in the regimes that ask for it."""

    @field_validator("val")
    @classmethod
    def _share_or_number(cls, value: int | float) -> int | float:
        if isinstance(value, float) and value >= 1:
            raise ValueError("a share must be less than 1 (a number of samples has no point)")
        return value

    @field_validator("tokens")
    @classmethod
    def _known_tokens(cls, value: str) -> str:
        hub = HubName.named(value)
        if hub is not None:
            hub.check()
        elif value not in UNITS:
            raise ValueError(
                f"{value!r} is none of {', '.join(UNITS)}, nor the tokenizer of a pretrained model,"
                " hf:owner/name"
            )
        return value

    @field_validator("hub")
    @classmethod
    def _known_form(cls, value: str | None) -> str | None:
        if value is not None:
            HubDataset.named(value)
        return value

    @model_validator(mode="after")
    def _goes_with_its_source(self) -> Task:
        if self.hub is not None and self.source not in OF_HUB:
            raise ValueError(f"hub: is for source {', '.join(OF_HUB)}, not {self.source}")
        if self.hub is not None and (self.path is not None or self.dataset is not None):
            raise ValueError("hub: names the data already: leave out path and dataset")
        if self.keys and self.source != "own":
            raise ValueError(f"keys: is for a .npz file of source own, not {self.source}")
        if self.speech.seconds is not None and self.source != "transcribed-speech":
            raise ValueError(f"speech.seconds: is for source transcribed-speech, not {self.source}")
        if self.range is not None and self.source != "ratings":
            raise ValueError(f"range: is for a table of source ratings, not {self.source}")
        if self.range is not None and self.dataset is not None:
            raise ValueError(f"range: dataset {self.dataset} has its own; leave it out")
        return self

    @field_validator("range")
    @classmethod
    def _upwards(cls, value: list[float] | None) -> list[float] | None:
        if value is not None and not value[0] < value[1]:
            raise ValueError("the lowest rating comes first, and is less than the highest")
        return value

    @model_validator(mode="after")
    def _own_vocabulary(self) -> Task:
        if self.vocabulary is not None and HubName.named(self.tokens) is not None:
            raise ValueError(f"vocabulary: tokens: {self.tokens} has its own; leave it out")
        return self

    def settings(self, *besides: str) -> dict[str, Any]:
        """Return what decides its data: not its name, and calibration only where there is any.

        Args:
            besides: further settings to leave out.
        """
        # settings that came later: unset, they name no result
        later = ("calibration", "hub", "keys", "range")
        unset: dict[str, Any] = {n: True for n in later if getattr(self, n) in (None, {})}
        if self.speech.seconds is None:
            unset["speech"] = {"seconds"}
        out = {"name": True, **unset, **dict.fromkeys(besides, True)}
        return self.model_dump(mode="json", exclude=out)

    @property
    def local(self) -> str | None:
        """The file or folder of its local data; None where there are none."""
        own = None if self.path is None else OwnCode.named(self.path)
        return self.path if own is None else str(own.source)

    @property
    def kind_source(self) -> Path:
        """The source file of its kind."""
        return registry.find(TaskKindTraits, self.kind).source

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        return registry.find(TaskKindTraits, value).name

    @field_validator("source")
    @classmethod
    def _known_source(cls, value: str) -> str:
        known = [file.stem.replace("_", "-") for file in modules(TASK_SOURCES)]
        if value not in known:
            raise ValueError(f"unknown source {value!r}{suggest(value, known)}")
        return value


class Regime(Settings):
    """Conditions that provoke overfitting: label noise, few samples, wide networks."""

    name: Name
    """Name of the regime."""
    label_noise: Share = 0.0
    """Share of the training labels that are set to another class."""
    noise: Literal["symmetric", "asymmetric", "pair-flip", "shifted"] = "symmetric"
    """Another class (symmetric), the next (pair-flip), class_map's (asymmetric); boxes shifted."""
    class_map: dict[Seed, Seed] = Field({})
    """For asymmetric noise: each class, and the class its samples are mislabelled as."""
    noisy_val: bool = True
    """Whether wrong labels stand in validation, too, where states and settings are chosen."""
    train_fraction: float = Field(1.0, gt=0, le=1)
    """Share of the training samples that is used, of each class alike."""
    train_samples: Count | None = None
    """Number of training samples that are used, in place of train_fraction."""
    augmentation: bool = False
    """Whether to train with the task's augmentation."""
    width: float = Field(1.0, gt=0, le=1000)
    """Factor on the number of channels of every network."""
    training: dict[str, JsonValue] = Field({})
    """Training settings that differ here from the common ones: fewer samples need more epochs."""

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
        return self
