"""Tasks and regimes: which data, and what about them provokes overfitting."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from prunebench.errors import suggest
from prunebench.experiment.settings.names import Count, Name, Seed, Share
from prunebench.experiment.sources import TASK_SOURCES, modules
from prunebench.experiment.validation import Settings


class Augmentation(Settings):
    """Random crop after padding by ``crop`` pixels, random horizontal flip."""

    crop: int = Field(0, ge=0, le=256)
    flip: bool = False


class Task(Settings):
    """A data set and its splits."""

    name: Name
    source: str = Field(description="digits, torchvision, folder, parquet or medmnist")
    dataset: str | None = Field(None, description="torchvision's class, e.g. CIFAR10")
    path: str | None = Field(None, description="local data; nothing is then downloaded")
    image_size: int | None = Field(None, ge=4, le=8192, description="pixels; empty keeps the size")
    mode: Literal["native", "grey", "rgb"] = "native"
    train: Count | None = None
    val: int | float = Field(
        0.1, gt=0, le=1_000_000_000, description="a number, or a share of the training split"
    )
    test: Count | None = None
    split_seed: Seed = 0
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
        known = [file.stem for file in modules(TASK_SOURCES)]
        if value not in known:
            raise ValueError(f"unknown source {value!r}{suggest(value, known)}")
        return value


class Regime(Settings):
    """What provokes overfitting."""

    name: Name
    label_noise: Share = Field(0.0, description="share of training labels set to another class")
    noise: Literal["symmetric", "asymmetric", "pair-flip"] = "symmetric"
    class_map: dict[Seed, Seed] = Field(
        {}, description="of asymmetric noise: a class, and the one its samples are mislabelled as"
    )
    noisy_val: bool = Field(False, description="also keep validation labels with such noise")
    train_fraction: float = Field(1.0, gt=0, le=1)
    train_samples: Count | None = Field(None, description="in place of train_fraction")
    augmentation: bool = False
    width: float = Field(1.0, gt=0, le=1000, description="factor on the channels of the network")
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
