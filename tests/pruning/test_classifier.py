"""The classifier is found where the outputs are made, however a network is written."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional

from prunebench.experiment.settings import Prunable
from prunebench.pruning.classifier import find_classifier
from prunebench.pruning.layers import sort_layers
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.training import models

IMAGES = torch.zeros(2, 3, 8, 8)


class DefinedFirst(nn.Module):
    """Its classifier is registered before the layers that it follows."""

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(16, 3)
        self.conv, self.hidden = nn.Conv2d(3, 16, 3), nn.Linear(16, 16)

    def features(self, x: Tensor) -> Tensor:
        return self.hidden(self.conv(x).relu().mean((2, 3))).relu()

    def forward(self, x: Tensor) -> Any:
        return self.classifier(self.features(x))


class WithFeatures(DefinedFirst):
    """Returns what the classifier reads, too."""

    def forward(self, x: Tensor) -> Any:
        features = self.features(x)
        return {"logits": self.classifier(features), "features": features}


class ValueDependent(DefinedFirst):
    """Its course depends on values: no trace without an input."""

    def forward(self, x: Tensor) -> Any:
        features = self.features(x)
        return self.classifier(-features if features.sum() < 0 else features).log_softmax(1)


@dataclass
class Output:
    """As the libraries of language models return it."""

    logits: Tensor
    hidden: Tensor


class ValueDependentFeatures(ValueDependent):
    """The same in a data class, frozen, with what the classifier reads."""

    def __init__(self) -> None:
        super().__init__()
        self.requires_grad_(False)

    def forward(self, x: Tensor) -> Any:
        features = self.features(x)
        hidden = -features if features.sum() < 0 else features
        return Output(self.classifier(hidden), hidden)


class TwoHeads(nn.Module):
    """Two outputs of one body."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3), nn.ReLU())
        self.age, self.sex = nn.Linear(16, 5), nn.Linear(16, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(x).mean((2, 3))
        return self.age(features), self.sex(features)


class AtTraining(TwoHeads):
    """The second output is there in training alone."""

    def forward(self, x: Tensor) -> Any:
        age, sex = super().forward(x)
        return (age, sex) if self.training else age


class Functional(nn.Module):
    """A cosine classifier: its weight is used by a function, and stands in an embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.names = nn.Conv2d(3, 16, 3), nn.Embedding(5, 16)
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor, scaled: bool = True) -> Tensor:
        features = self.conv(x).mean((2, 3)).view(x.size(0), -1)
        logits = features @ functional.normalize(self.names.weight, dim=1).t()
        return logits * self.scale if scaled else logits


class Projection(nn.Module):
    """Its last weights are no layer's: a parameter of the network itself."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.proj = nn.Conv2d(3, 16, 3), nn.Parameter(torch.ones(16, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).relu().mean((2, 3)) @ self.proj


class Remembers(DefinedFirst):
    """Keeps its last features in an attribute."""

    last: Any = None

    def forward(self, x: Tensor) -> Any:
        self.last = self.features(x)
        return self.classifier(self.last)


def fully_convolutional() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )  # fmt: skip


CASES: dict[str, tuple[Callable[[], nn.Module], list[str]]] = {
    "defined first": (DefinedFirst, ["classifier.weight"]),
    "with features": (WithFeatures, ["classifier.weight"]),
    "two heads": (TwoHeads, ["age.weight", "sex.weight"]),
    "of training": (AtTraining, ["age.weight", "sex.weight"]),
    "functional": (Functional, ["names.weight"]),
    "convolution": (fully_convolutional, ["2.weight"]),
    "projection": (Projection, []),
    "remembers": (Remembers, ["classifier.weight"]),
    "squeezenet": (
        lambda: torchvision.models.squeezenet1_1(num_classes=3), ["classifier.1.weight"],
    ),
    "googlenet": (
        lambda: torchvision.models.googlenet(num_classes=3, init_weights=False),
        ["aux1.fc2.weight", "aux2.fc2.weight", "fc.weight"],
    ),
}  # fmt: skip


@contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Nothing of a network changes: values, modes, what is frozen, attributes, random numbers."""
    before = {name: value.clone() for name, value in model.state_dict().items()}
    flags = [(m.training, sorted(vars(m))) for m in model.modules()]
    frozen = [p.requires_grad for p in model.parameters()]
    draws = torch.get_rng_state()
    yield
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    assert [(m.training, sorted(vars(m))) for m in model.modules()] == flags
    assert [p.requires_grad for p in model.parameters()] == frozen
    assert torch.equal(torch.get_rng_state(), draws)


@pytest.mark.parametrize("name", CASES)
def test_it_is_found_without_an_input(name: str) -> None:
    build, expected = CASES[name]
    model = build()
    with unchanged(model):
        assert sorted(sort_layers(model).classifier) == expected
    assert not set(sort_layers(model).prunable) & set(expected)


@pytest.mark.parametrize("build", [ValueDependent, ValueDependentFeatures])
def test_it_is_found_by_a_run_where_values_decide(build: Callable[[], nn.Module]) -> None:
    model = build()
    with unchanged(model), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert sort_layers(model, example=IMAGES).classifier == ("classifier.weight",)


def test_what_is_guessed_is_said() -> None:
    model = ValueDependent()
    with pytest.warns(
        UserWarning, match=r"guessed to be the last linear layer \(hidden\); give an"
    ):
        assert find_classifier(model) == [model.hidden]


def test_what_a_network_declares_goes_before() -> None:
    for name in ("seed-cnn", "test_vit"):
        settings = models.Model(name=name)
        model = models.create(settings, NetworkFacts.of_images(4, 1, 32), seed=0)
        assert find_classifier(model) == models.head_of(model)
    model = TwoHeads()
    model.get_classifier = lambda: model.age
    assert find_classifier(model) == [model.age]


def test_it_can_be_named() -> None:
    model = DefinedFirst()
    for named in ("hidden", "hidden.weight", "hid*", "re:hid.*"):
        layers = sort_layers(model, Prunable(classifier=[named]))
        assert layers.classifier == ("hidden.weight",)
        assert list(layers.prunable) == ["classifier.weight", "conv.weight"]
    pruned = sort_layers(model, Prunable(classifier=["hidden"], head=True))
    assert pruned.classifier == ("hidden.weight",)
    assert "hidden.weight" in pruned.prunable
