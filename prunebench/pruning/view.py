"""The network as a criterion sees it: weights, gradients, activations and groups, computed once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from prunebench.errors import Refused
from prunebench.experiment.settings import Prunable
from prunebench.pruning.blocks import Block, find_blocks
from prunebench.pruning.coupling import Coupling, find_groups, whole_layers
from prunebench.pruning.groups import Group
from prunebench.pruning.layers import RECURRENT, TRANSPOSED, Layer, prunable_layers, without_inputs
from prunebench.pruning.masks import Masks, apply
from prunebench.pruning.modes import differentiable, evaluating
from prunebench.pruning.recurrent_course import courses, part_of
from prunebench.storage.hashing import derive_seed
from prunebench.tasks.task_kind import TaskKind
from prunebench.training.loop import logits_of

Batches = Iterable[tuple[Tensor, Tensor]]  # (inputs [B, ...], targets [B])
Loss = Callable[[Tensor, Tensor], Tensor]  # (logits, targets) -> mean loss, a scalar
Scores = dict[str, Tensor]  # a weight's name -> scores: of its shape, or [out] for filters


class GroupScores(Scores):
    """Scores of whole groups, [size of the group], or of blocks, a scalar; by their names."""


@dataclass(frozen=True)
class Compensated:
    """Scores of a criterion that also changes the weights that stay (trait ``compensates``).

    ``update(masks)`` returns new values of weights, by name, given what is kept.
    """

    scores: Scores
    update: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


class Choice(Protocol):
    """How a method chooses among some inputs of a layer, once it is known how many weights go."""

    @property
    def together(self) -> int:
        """Inputs that must be chosen from together, as the M of N:M; 0 if any number will do."""
        ...

    def __call__(self, name: str, first: int, scores: Tensor, remove: int) -> Tensor:
        """Return what stays of the inputs from ``first`` on: bool of the shape of ``scores``."""
        ...


class Swept(Scores):
    """Scores of a criterion that chooses anew while it changes the weights (trait ``sweeps``).

    The pattern and the allocation only take from these scores how many weights of each layer go.
    ``settle(view, masks, choice)`` then says which: as many of each layer as ``masks`` removes.
    """

    def __init__(self, scores: Scores, settle: Callable[[View, Masks, Choice], Masks]) -> None:
        super().__init__(scores)
        self.settle = settle


BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)
_ACTIVATIONS = ("torch.nn.modules.activation", "timm.layers.activations")
_INSIDE = (*RECURRENT, nn.MultiheadAttention)  # their outputs are not weight times input
_NOT_ACTIVATIONS = (nn.MultiheadAttention, nn.Softmax, nn.Softmax2d, nn.LogSoftmax)


class Stopwatch(Protocol):
    """Measures how long networks take, on this machine, for the batches that the grid times."""

    def __call__(self, model: nn.Module, candidates: Mapping[str, Masks]) -> dict[str, float]:
        """Return milliseconds by name: of a network under several masks, measured in turns.

        Masks that leave whole filters without use are timed on the network without them.
        """
        ...


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
        example: Tensor | None = None,
        kind: TaskKind | None = None,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        """Look at a network.

        Args:
            model: the network.
            batches: calibration data, (inputs [B, ...], targets [B]).
            loss: (logits, targets) -> mean loss; None: cross-entropy.
            seed: of every draw.
            prunable: which weights may be pruned.
            within: masks of what earlier rounds kept; nothing outside of them comes back.
            example: inputs [B, ...] to trace the network with; None: the first of ``batches``.
            kind: of the task, which knows its error; None: not known.
            stopwatch: measures times; None: nothing does.
        """
        self.model = model
        if example is None and isinstance(batches, Sequence) and batches:
            example = batches[0][0]
        self._example = None if example is None else _to_trace(example, model)
        self.layers: dict[str, Layer] = prunable_layers(model, prunable, self._example)
        self.loss = loss or functional.cross_entropy
        self.seed = seed
        self.within: Masks = dict(within or {})
        self.kind, self.stopwatch = kind, stopwatch
        # whether how many weights of each layer go is known without scores (trait counts_alone)
        self.counts_known = False
        self.memory: dict[Any, Any] = {}  # what a method needs at every sparsity, by what it is
        # what a criterion needs in every round, and stays true while weights are set to zero
        self.lasting: dict[Any, Any] = {}
        self._batches = batches
        self._means: dict[str, dict[str, Tensor]] = {}  # mean gradients, by mode of batch norms

    @cached_property
    def batches(self) -> list[tuple[Tensor, Tensor]]:
        """The calibration batches on the model's device; raises Refused where none were given."""
        if self._batches is None:
            raise Refused("this method looks at data: give batches=[(inputs, targets), ...]")
        device = next(self.model.parameters()).device
        batches = [(inputs.to(device), targets.to(device)) for inputs, targets in self._batches]
        if not batches:
            raise Refused("this method looks at data, but batches is empty")
        return batches

    @cached_property
    def example(self) -> Tensor:
        """Inputs [2 at most, ...] to trace with, on the model's device; Refused without any."""
        if self._example is not None:
            return self._example
        if self._batches is None:
            raise Refused("the network must be traced: give example, an input [B, ...], or batches")
        return _to_trace(self.batches[0][0], self.model)

    @property
    def weights(self) -> dict[str, Tensor]:
        """The prunable weights, detached."""
        return {name: layer.weight.detach() for name, layer in self.layers.items()}

    def generator(self, *purpose: str) -> torch.Generator:
        """Return a CPU generator of its own for each purpose, from the view's seed."""
        return torch.Generator().manual_seed(derive_seed(self.seed, *purpose))

    def random(self, name: str, shape: torch.Size) -> Tensor:
        """Return uniform draws in [0, 1) of a shape, the same for the same seed and name."""
        drawn = torch.rand(shape, generator=self.generator("random", name))
        return drawn.to(self.layers[name].weight.device)

    @property
    def gradients(self) -> dict[str, Tensor]:
        """The mean gradient of the loss over the calibration samples, in eval mode."""
        return self.mean_gradients()

    def mean_gradients(self, batch_norm: str = "eval") -> dict[str, Tensor]:
        """Return the mean gradient of the loss over the calibration samples.

        Args:
            batch_norm: see ``batch_gradients``.
        """
        if batch_norm not in self._means:
            self._means[batch_norm] = self._mean_gradients(batch_norm)
        return self._means[batch_norm]

    def _mean_gradients(self, batch_norm: str) -> dict[str, Tensor]:
        weights = {name: layer.weight for name, layer in self.layers.items()}
        # at least single precision: sums and products of half precision vanish
        sums = {
            name: torch.zeros_like(weight, dtype=torch.promote_types(weight.dtype, torch.float32))
            for name, weight in weights.items()
        }
        count = 0
        for size, gradients in self.batch_gradients(weights, batch_norm):
            for name, gradient in gradients.items():
                sums[name].add_(gradient, alpha=size)
            count += size
        return {name: total / count for name, total in sums.items()}

    def normed_batches(self, batch_norm: str) -> list[tuple[Tensor, Tensor]]:
        """Return the calibration batches that batch norms in this mode can see.

        Args:
            batch_norm: ``eval``: all; ``train``: those of more than one sample, as in training.

        Raises:
            Refused: there is none.
        """
        least = 2 if batch_norm == "train" else 1
        batches = [batch for batch in self.batches if len(batch[0]) >= least]
        if not batches:
            raise Refused("batch norm in train mode needs batches of more than one sample")
        return batches

    def batch_gradients(
        self, parameters: Mapping[str, nn.Parameter], batch_norm: str = "eval"
    ) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Yield (samples, gradients of the mean loss) of each calibration batch, in eval mode.

        A parameter that the loss does not depend on is left out.

        Args:
            parameters: those to take the gradient of, by name.
            batch_norm: ``eval`` normalizes by the running statistics, ``train`` by each batch's
                own; the running statistics stay as they are.
        """
        frozen = [value for value in parameters.values() if not value.requires_grad]
        try:
            for value in frozen:
                value.requires_grad_(True)
            with (
                evaluating(self.model, batch_norm),
                differentiable(self.model),
                torch.enable_grad(),
            ):
                for inputs, targets in self.normed_batches(batch_norm):
                    loss = self.loss(logits_of(self.model(inputs)), targets)
                    found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
                    pairs = zip(parameters, found, strict=True)
                    yield len(inputs), {name: grad for name, grad in pairs if grad is not None}
        finally:
            for value in frozen:
                value.requires_grad_(False)

    def pruned(self, masks: Masks) -> View:
        """Set to zero, in place, what masks remove; return a view of the network that is left."""
        apply(self.model, masks)
        view = copy(self)
        for name in ("own_norms", "blocks"):  # were found by running the network
            view.__dict__.pop(name, None)
        view.within, view._means, view.memory = {**self.within, **masks}, {}, {}
        return view

    def few(self, samples: int) -> View:
        """Return a view of the same network with only the first ``samples`` calibration samples."""
        batches, left = [], samples
        for inputs, targets in self.batches:
            if left > 0:
                batches.append((inputs[:left], targets[:left]))
                left -= len(inputs)
        view = copy(self)
        view.__dict__.pop("batches", None)
        view._batches, view._means, view.memory = batches, {}, {}
        return view

    @cached_property
    def own_norms(self) -> dict[str, str]:
        """The name of a layer's weight -> the batch norm that reads the layer's output directly."""
        # the version shows whether an operation in place has changed the output since
        made: dict[str, tuple[Tensor, int]] = {}
        norms: dict[str, str] = {}

        def after_layer(name: str) -> Callable[[nn.Module, Any, Any], None]:
            return lambda module, inputs, out: made.__setitem__(name, (out, out._version))

        def after_norm(norm: str) -> Callable[[nn.Module, Any, Any], None]:
            def hook(module: nn.Module, inputs: Any, output: Any) -> None:
                read, version = inputs[0], inputs[0]._version
                same = [n for n, (out, then) in made.items() if out is read and then == version]
                norms.update(dict.fromkeys(same, norm))

            return hook

        hooks = {
            layer.module: after_layer(name)
            for name, layer in self.layers.items()
            if not isinstance(layer.module, _INSIDE)
        }
        for name, module in self.model.named_modules():
            if isinstance(module, BATCH_NORMS):
                hooks[module] = after_norm(name)
        self._pass(hooks, [self.example])
        return norms

    @cached_property
    def coupling(self) -> Coupling:
        """The coupled channels, and what stays whole; needs an example to trace with."""
        return find_groups(self.model, self.layers, self.example)

    @property
    def groups(self) -> list[Group]:
        """The coupled channels that can go; Refused where there are none."""
        if not self.coupling.groups:
            said = f": {self.coupling.said()}" if self.coupling.whole else ""
            name = type(self.model).__name__
            raise Refused(f"{name} has no channels that could be removed{said}")
        return self.coupling.groups

    @property
    def columns(self) -> list[Group]:
        """The columns of embeddings that can go with what reads them; Refused without any."""
        if not self.coupling.columns:
            kept = self.coupling.kept_columns
            name = type(self.model).__name__
            said = f": {whole_layers(kept)}" if kept else ", since no embedding may be pruned"
            raise Refused(f"{name} has no columns of embeddings that could be removed{said}")
        return self.coupling.columns

    @property
    def tables(self) -> dict[str, Layer]:
        """The prunable embeddings, by the names of their weights; Refused without any."""
        found = {n: one for n, one in self.layers.items() if isinstance(one.module, nn.Embedding)}
        if not found:
            raise Refused(f"{type(self.model).__name__} has no embedding that may be pruned")
        return found

    @cached_property
    def blocks(self) -> list[Block]:
        """The residual blocks that could be removed; needs an example to try them with."""
        return find_blocks(self.model, self.layers, self.example)

    @torch.no_grad()
    def run(self, hooks: Mapping[nn.Module, Callable[[nn.Module, Any, Any], None]]) -> None:
        """Pass every calibration batch through the model in eval mode, with forward hooks.

        A hook is given the module, its arguments in the order of their parameters, also those that
        are given by keyword, and its output.
        """
        self._pass(hooks, [inputs for inputs, _ in self.batches])

    @torch.no_grad()
    def _pass(
        self,
        hooks: Mapping[nn.Module, Callable[[nn.Module, Any, Any], None]],
        batches: Iterable[Tensor],
    ) -> None:
        handles = [
            module.register_forward_hook(_given_in_order(hook), with_kwargs=True)
            for module, hook in hooks.items()
        ]
        try:
            with evaluating(self.model):
                for inputs in batches:
                    self.model(inputs)
        finally:
            for handle in handles:
                handle.remove()

    def run_on_inputs(
        self, modules: Iterable[tuple[nn.Module, Layer]],
        see: Callable[[Layer, nn.Module, Tensor, Any], None],
    ) -> None:  # fmt: skip
        """Pass every calibration batch, and show what each layer's weight multiplies.

        Args:
            modules: modules that apply the weights of layers; a module may apply several.
            see: called with the layer, the module, what the weight multiplies ([B, ..., in], or
                [B, in, ...] of a convolution) and the module's output.
        """
        layers: dict[nn.Module, list[Layer]] = {}
        for module, layer in modules:
            layers.setdefault(module, []).append(layer)

        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            inside = courses(module, inputs) if isinstance(module, RECURRENT) else {}
            for layer in layers[module]:
                part = inside.get(part_of(layer.parameter))
                given = inputs[0] if part is None else part.of(layer.parameter)
                see(layer, module, given, output)

        self.run(dict.fromkeys(layers, hook))

    def input_means(self, measure: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """Return the mean of ``measure(input)`` over samples and positions: [in channels] by layer.

        Raises:
            Refused: a layer is an embedding, whose inputs are numbers of entries, or another one of
                which what its weight multiplies is not its module's input, or it never runs.
        """
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}

        def see(layer: Layer, module: nn.Module, inputs: Tensor, output: Any) -> None:
            values = measure(_channels_last(module, inputs))
            sums[layer.name] = sums.get(layer.name, 0) + values.flatten(0, -2).sum(0)
            counts[layer.name] = counts.get(layer.name, 0) + values[..., 0].numel()

        for layer in self.layers.values():
            if isinstance(layer.module, nn.Embedding):
                raise Refused(f"{layer.name!r} is an embedding: it has no input activations")
            if reason := without_inputs(layer):
                raise Refused(f"no input activations of {layer.name!r} can be seen: {reason}")
        self.run_on_inputs(((layer.module, layer) for layer in self.layers.values()), see)
        idle = [name for name in self.layers if name not in sums]
        if idle:
            raise Refused(f"the model never runs {', '.join(idle)}: no inputs to look at")
        return {name: total / counts[name] for name, total in sums.items()}

    def activation_means(self, measure: Callable[[Tensor], Tensor]) -> dict[str, Tensor]:
        """Return the mean of ``measure(activation)`` over samples and positions: [out] by layer.

        A layer's activation is the output of the first activation function that runs after it, on
        as many channels, before the next prunable layer. Layers without one are left out, as are
        recurrent layers and attention, whose functions lie inside of them.

        Raises:
            Refused: no layer has one.
        """
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        last: list[Layer] = []

        def after_layer(layer: Layer) -> Callable[[nn.Module, Any, Any], None]:
            return lambda module, inputs, output: last.__setitem__(slice(None), [layer])

        def add(layer: Layer, values: Tensor) -> None:
            sums[layer.name] = sums.get(layer.name, 0) + values.flatten(0, -2).sum(0)
            counts[layer.name] = counts.get(layer.name, 0) + values[..., 0].numel()

        def within(module: nn.Module, inputs: Any, output: Any) -> None:
            last.clear()
            inside = courses(module, inputs) if module in recurrent else {}
            for layer in recurrent.get(module, ()):
                states = measure(_channels_last(module, inside[part_of(layer.parameter)].states))
                add(layer, states.repeat(1, 1, len(layer.weight) // states.shape[-1]))

        def after_activation(module: nn.Module, inputs: Any, output: Tensor) -> None:
            if not last:
                return
            layer = last.pop()
            values = _channels_last(layer.module, output)
            if values.shape[-1] == layer.weight.shape[0]:
                add(layer, measure(values))

        recurrent: dict[nn.Module, list[Layer]] = {}
        for layer in self.layers.values():
            if isinstance(layer.module, RECURRENT) and not without_inputs(layer):
                recurrent.setdefault(layer.module, []).append(layer)
        hooks = {
            layer.module: within if isinstance(layer.module, _INSIDE) else after_layer(layer)
            for layer in self.layers.values()
            if not isinstance(layer.module, TRANSPOSED)
        }
        activations = [m for m in self.model.modules() if _is_activation(m)]
        self.run({**hooks, **dict.fromkeys(activations, after_activation)})
        if not sums:
            raise Refused("no activation function runs after a prunable layer of this model")
        return {name: total / counts[name] for name, total in sums.items()}


def _to_trace(example: Tensor, model: nn.Module) -> Tensor:
    """Return two inputs at most, on the model's device; of one, two: a batch of one is taken apart.

    (By torch-pruning, which numbers channels by the sizes that it sees.)
    """
    device = next((value.device for value in model.parameters()), example.device)
    example = example[:2].to(device)
    return torch.cat([example, example]) if len(example) == 1 else example


def _given_in_order(hook: Callable[[nn.Module, Any, Any], None]) -> Callable[..., None]:
    """Return a hook with keywords that hands all arguments on in their order."""

    def ordered(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if kwargs:
            bound = inspect.signature(module.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            args = bound.args
        hook(module, args, output)

    return ordered


def _is_activation(module: nn.Module) -> bool:
    known = type(module).__module__ in _ACTIVATIONS
    return known and not isinstance(module, _NOT_ACTIVATIONS)


def _channels_last(module: nn.Module, values: Tensor) -> Tensor:
    """Return [B, C, ...] of a convolution, or [B, ..., C] of other layers, as [B, ..., C].

    In single precision at least.
    """
    values = values.detach().to(torch.promote_types(values.dtype, torch.float32))
    last = isinstance(module, (nn.Linear, *RECURRENT))
    return values if last else values.movedim(1, -1)
