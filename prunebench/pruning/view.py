"""What a criterion may look at: weights, gradients, activations, groups; each computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.errors import Refused
from prunebench.identity import derive_seed
from prunebench.pruning.groups import Group, find_groups
from prunebench.pruning.layers import Layer, prunable_layers
from prunebench.pruning.masks import Masks
from prunebench.settings import Prunable
from prunebench.train import logits_of

Batches = Iterable[tuple[Tensor, Tensor]]  # (inputs [B, ...], targets [B])
Loss = Callable[[Tensor, Tensor], Tensor]  # (logits, targets) -> mean loss, a scalar
Scores = dict[str, Tensor]  # a weight's name -> scores: of its shape, or [out] for filters


@dataclass(frozen=True)
class Compensated:
    """Scores of a criterion that also changes the weights that stay (trait ``compensates``).

    ``update(masks)`` returns the new values of weights, by name, given what is kept.
    """

    scores: Scores
    update: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


_ACTIVATIONS = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Hardswish, nn.Sigmoid, nn.Tanh,
)  # fmt: skip


class View:
    """A network as a criterion sees it, with calibration data. Weights are read, never written."""

    def __init__(
        self,
        model: nn.Module,
        *,
        batches: Batches | None = None,
        loss: Loss | None = None,
        seed: int = 0,
        prunable: Prunable | None = None,
        within: Mapping[str, Tensor] | None = None,
    ) -> None:
        """``within``: masks of what earlier rounds kept; nothing outside of them comes back."""
        self.model = model
        self.layers: dict[str, Layer] = prunable_layers(model, prunable)
        self.loss = loss or functional.cross_entropy
        self.seed = seed
        self.within: Masks = dict(within or {})
        self._batches = batches

    @cached_property
    def batches(self) -> list[tuple[Tensor, Tensor]]:
        """The calibration batches on the model's device; Refused where none were given."""
        if self._batches is None:
            raise Refused("this criterion looks at data: give batches=[(inputs, targets), ...]")
        device = next(self.model.parameters()).device
        batches = [(inputs.to(device), targets.to(device)) for inputs, targets in self._batches]
        if not batches:
            raise Refused("this criterion looks at data, but batches is empty")
        return batches

    @property
    def weights(self) -> dict[str, Tensor]:
        """The prunable weights, detached."""
        return {name: layer.weight.detach() for name, layer in self.layers.items()}

    def generator(self, *purpose: str) -> torch.Generator:
        """A CPU generator of its own for each purpose, from the view's seed."""
        return torch.Generator().manual_seed(derive_seed(self.seed, *purpose))

    def random(self, name: str, shape: torch.Size) -> Tensor:
        """Uniform draws in [0, 1) of the given shape, the same for the same seed and name."""
        drawn = torch.rand(shape, generator=self.generator("random", name))
        return drawn.to(self.layers[name].weight.device)

    @cached_property
    def gradients(self) -> dict[str, Tensor]:
        """The mean gradient of the loss over the calibration samples, in eval mode."""
        names, weights = list(self.layers), [layer.weight for layer in self.layers.values()]
        sums = [torch.zeros_like(weight) for weight in weights]
        frozen = [weight for weight in weights if not weight.requires_grad]
        training, count = self.model.training, 0
        self.model.eval()
        try:
            for weight in frozen:
                weight.requires_grad_(True)
            for inputs, targets in self.batches:
                loss = self.loss(logits_of(self.model(inputs)), targets) * len(inputs)
                grads = torch.autograd.grad(loss, weights, allow_unused=True)
                for total, grad in zip(sums, grads, strict=True):
                    if grad is not None:
                        total += grad
                count += len(inputs)
        finally:
            for weight in frozen:
                weight.requires_grad_(False)
            self.model.train(training)
        return {name: total / count for name, total in zip(names, sums, strict=True)}

    @cached_property
    def groups(self) -> list[Group]:
        """The coupled channels; needs one batch to trace with."""
        inputs = self.batches[0][0]
        return find_groups(self.model, self.layers, inputs[:2])

    @torch.no_grad()
    def run(self, hooks: Mapping[nn.Module, Callable[[nn.Module, Any, Any], None]]) -> None:
        """Pass every calibration batch through the model in eval mode with forward hooks."""
        handles = [module.register_forward_hook(hook) for module, hook in hooks.items()]
        training = self.model.training
        self.model.eval()
        try:
            for inputs, _ in self.batches:
                self.model(inputs)
        finally:
            for handle in handles:
                handle.remove()
            self.model.train(training)

    def input_means(self, measure: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """Mean of ``measure(input)`` over samples and positions: [in channels] for each layer."""
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}

        def hook_of(layer: Layer) -> Callable[[nn.Module, Any, Any], None]:
            def hook(module: nn.Module, inputs: Any, output: Any) -> None:
                values = measure(_channels_last(module, inputs[0]))
                add = values.flatten(0, -2).sum(0)
                sums[layer.name] = sums.get(layer.name, 0) + add
                counts[layer.name] = counts.get(layer.name, 0) + values[..., 0].numel()

            return hook

        self.run({layer.module: hook_of(layer) for layer in self.layers.values()})
        return {name: total / counts[name] for name, total in sums.items()}

    def activation_means(self, measure: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """Mean of ``measure(activation)`` over samples and positions: [out] for each layer.

        A layer's activation is the output of the first activation function that runs after it, on
        as many channels, before the next prunable layer; layers without one are left out.
        """
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        last: list[Layer] = []

        def after_layer(layer: Layer) -> Callable[[nn.Module, Any, Any], None]:
            return lambda module, inputs, output: last.__setitem__(slice(None), [layer])

        def after_activation(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if not last:
                return
            layer = last.pop()
            values = _channels_last(layer.module, output)
            if values.shape[-1] == layer.weight.shape[0]:
                values = measure(values)
                sums[layer.name] = sums.get(layer.name, 0) + values.flatten(0, -2).sum(0)
                counts[layer.name] = counts.get(layer.name, 0) + values[..., 0].numel()

        hooks = {layer.module: after_layer(layer) for layer in self.layers.values()}
        activations = [m for m in self.model.modules() if isinstance(m, _ACTIVATIONS)]
        self.run({**hooks, **dict.fromkeys(activations, after_activation)})
        if not sums:
            raise Refused("no activation function runs after a prunable layer of this model")
        return {name: total / counts[name] for name, total in sums.items()}


def _channels_last(module: nn.Module, values: Tensor) -> Tensor:
    """[B, C, ...] of a convolution, or [B, ..., C] of a linear layer, as [B, ..., C] float32."""
    values = values.detach().float()
    return values if isinstance(module, nn.Linear) else values.movedim(1, -1)
