"""Networks, and how they are trained."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, JsonValue, model_validator

from prunebench.experiment.settings.names import Count, Name
from prunebench.experiment.validation import Settings


class Training(Settings):
    """One training run of a baseline, and what recoveries take from it."""

    epochs: int = Field(40, gt=0, le=1_000_000)
    recovery_epochs: int | None = Field(
        None, gt=0, le=1_000_000, description="of fine-tuning; default: epochs"
    )
    batch_size: int = Field(128, gt=1, le=1_000_000_000)
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
    validate_every: Count = Field(1, description="epochs between two looks at validation")
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
