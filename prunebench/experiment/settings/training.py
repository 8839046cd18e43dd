"""Settings of networks and of their training."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from prunebench.errors import shown
from prunebench.experiment.hub_name import HubName
from prunebench.experiment.own_code import OwnCode
from prunebench.experiment.settings.names import Count, Name
from prunebench.experiment.validation import Settings

# by which timm fetches weights from elsewhere, or puts them elsewhere
_FETCHING = ("url", "hf_hub_id", "hf_hub_filename", "source", "cache_dir")
CHECKPOINT = "checkpoint_path"  # timm's argument: a file of weights to start from


class Training(Settings):
    """Training of a baseline; recoveries use the same settings."""

    epochs: int = Field(40, ge=0, le=1_000_000)
    """Epochs of a baseline; 0: loaded weights as they are, recovery_epochs for what follows."""
    recovery_epochs: int | None = Field(None, gt=0, le=1_000_000)
    """Epochs of fine-tuning after a removal; empty: as many as epochs."""
    batch_size: int = Field(128, gt=1, le=1_000_000_000)
    """Samples in a training step."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """Optimizer: sgd (with momentum) or adamw."""
    learning_rate: float = Field(0.1, gt=0)
    """Largest learning rate."""
    schedule: Literal["cosine", "step", "constant"] = "cosine"
    """Course of the learning rate: cosine falls to 0, step falls at milestones, constant stays."""
    milestones: list[float] = Field([0.5, 0.75])
    """For step: when the learning rate falls, as shares of the epochs."""
    gamma: float = Field(0.1, gt=0, le=1)
    """For step: the factor on the learning rate at each milestone."""
    warmup_epochs: float = Field(0.0, ge=0)
    """Epochs over which the learning rate rises from 0."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """Momentum of sgd."""
    nesterov: bool = True
    """Whether sgd uses Nesterov's momentum."""
    weight_decay: float = Field(5e-4, ge=0)
    """Weight decay; norms and biases have none."""
    gradient_clip: float | None = Field(None, gt=0)
    """Largest norm of the gradient; empty: no limit."""
    validate_every: Count = 1
    """Epochs between two evaluations on the validation split."""
    rewind_epochs: list[int] = Field([])
    """Epochs whose weights are kept, so that weight-rewinding can go back to them."""

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        if self.warmup_epochs and self.warmup_epochs >= self.epochs:
            raise ValueError("warmup_epochs must be fewer than epochs")
        if any(not 0 < epoch < self.epochs for epoch in self.rewind_epochs):
            raise ValueError(f"rewind_epochs must lie between 1 and {self.epochs - 1}")
        return self


class Model(Settings):
    """A network: of those that ship (page Networks), timm's, your own."""

    name: Name
    """Name of the network, as tables show it."""
    architecture: str = ""
    """Network: a name of ours or timm's, file.py:Class, or hf:owner/name; default: the name."""
    arguments: dict[str, JsonValue] = Field({})
    """Further arguments of the network's constructor."""
    stem: Literal["original", "small"] = "original"
    """First layers: small has stride 1 and no pooling, for images of 32×32 and less."""
    pretrained: bool = False
    """Whether training starts from pretrained weights, timm's or those of hf:owner/name."""
    weights: str | None = None
    """File of weights to start from: safetensors, or a state dict that torch.save wrote."""
    training: dict[str, JsonValue] = Field({})
    """Training settings that differ for this network from the common ones."""

    @model_validator(mode="before")
    @classmethod
    def _architecture(cls, value: Any) -> Any:
        if isinstance(value, dict) and "name" in value and not value.get("architecture"):
            value = {**value, "architecture": str(value["name"])}
        return value

    @field_validator("architecture")
    @classmethod
    def _there(cls, value: str) -> str:
        own = OwnCode.named(value)
        if own is not None:
            own.check()
        hub = HubName.named(value)
        if hub is not None:
            hub.check()
        return value

    @field_validator("weights")
    @classmethod
    def _there_to_read(cls, value: str | None) -> str | None:
        if value is not None and not os.path.isfile(value):  # noqa: PTH113  # never raises
            raise ValueError(f"{value} is no file; safetensors, or a state dict of torch.save")
        return value

    @model_validator(mode="after")
    def _one_start(self) -> Model:
        if self.weights is not None and (self.pretrained or CHECKPOINT in self.arguments):
            other = "pretrained" if self.pretrained else CHECKPOINT
            raise ValueError(f"weights and {other}: training starts from one of the two")
        return self

    @model_validator(mode="after")
    def _fetches_in_plain_sight(self) -> Model:
        # pretrained: true and hf:owner/name say what is fetched; an address among arguments of a
        # library would be fetched, and kept in its cache, by the way
        if OwnCode.named(self.architecture) is None and (found := _fetched(self.arguments)):
            raise ValueError(
                f"arguments: {found} would fetch a file: download it yourself and name it, weights:"
                " mine.safetensors"
            )
        return self

    def sources(self) -> list[Path]:
        """Return the files of the user's that build it: none, unless it is one's own."""
        own = OwnCode.named(self.architecture)
        return [] if own is None else [own.source]

    def drawn(self) -> Model:
        """Return the same network with initial weights that are drawn, not loaded."""
        arguments = {key: value for key, value in self.arguments.items() if key != CHECKPOINT}
        drawn = {"pretrained": False, "weights": None, "arguments": arguments}
        return self.model_copy(update=drawn)

    @property
    def loads(self) -> bool:
        """Whether training starts from weights that are loaded, e.g. pretrained ones."""
        return self != self.drawn()


def _fetched(value: JsonValue) -> str:
    """Return the key or the address in arguments that a library would fetch; "" for none."""
    if isinstance(value, dict):
        named = next((key for key, item in value.items() if key in _FETCHING and item), "")
        return named or _fetched(list(value.values()))
    if isinstance(value, list):
        return next(filter(None, map(_fetched, value)), "")
    return shown(value) if isinstance(value, str) and "://" in value else ""
