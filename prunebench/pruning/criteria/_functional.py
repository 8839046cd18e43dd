"""The network as a differentiable function of its prunable weights, and derivatives of its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel

from prunebench.errors import Refused
from prunebench.pruning.modes import differentiable, evaluating
from prunebench.pruning.view import View
from prunebench.training.loop import logits_of

MEMORY = (
    1 << 30
)  # bytes that a criterion may hold beside the network, unless its docstring says more


@dataclass(frozen=True)
class FunctionalNetwork:
    """A network as a function: ``logits(inputs)`` depends on ``weights``, which need gradients."""

    weights: dict[str, Tensor]
    logits: Callable[[Tensor], Tensor]


@contextmanager
def network(
    view: View,
    names: Sequence[str] | None = None,
    *,
    batch_norm: str = "eval",
) -> Iterator[FunctionalNetwork]:
    """Yield the view's network, in eval mode, as a function of some of its weights.

    In single precision at least, and as ``derivable`` says. The model itself, its flags and its
    gradients stay as they are.

    Args:
        view: the network.
        names: the weights; None: all prunable ones.
        batch_norm: ``train`` normalizes by each batch's own statistics.
    """
    model = view.model

    def full(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        return tensor.to(torch.promote_types(tensor.dtype, torch.float32))

    state = {name: full(tensor.detach()) for name, tensor in model.named_parameters()}
    state |= {name: full(tensor.detach()) for name, tensor in model.named_buffers()}
    weights = {
        name: state[name].detach().requires_grad_(True)
        for name in (view.layers if names is None else names)
    }
    state |= weights

    def logits(inputs: Tensor) -> Tensor:
        return logits_of(functional_call(model, state, (full(inputs),)))

    with evaluating(model, batch_norm), derivable(model):
        yield FunctionalNetwork(weights, logits)


@contextmanager
def derivable(model: nn.Module) -> Iterator[None]:
    """Allow for second derivatives within the block: of attention too, and without autocast."""
    device = next(model.parameters()).device
    with ExitStack() as stack:
        stack.enter_context(differentiable(model))
        stack.enter_context(torch.enable_grad())
        stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        yield


def gradient(
    loss: Tensor, weights: Mapping[str, Tensor], *, create_graph: bool = False
) -> dict[str, Tensor]:
    """Return the gradient of a scalar by weight, zero where it does not depend on a weight."""
    found = torch.autograd.grad(
        loss, list(weights.values()), create_graph=create_graph, materialize_grads=True
    )
    return dict(zip(weights, found, strict=True))


def mean_gradient(
    view: View, net: FunctionalNetwork, temperature: float = 1.0, batch_norm: str = "eval"
) -> dict[str, Tensor]:
    """Return the mean gradient of the loss over the calibration samples.

    Args:
        view: gives the samples and the loss.
        net: the network as a function.
        temperature: divides the logits.
        batch_norm: the mode in which the network was made a function.
    """
    sums = {name: torch.zeros_like(weight) for name, weight in net.weights.items()}
    count = 0
    for inputs, targets in view.normed_batches(batch_norm):
        loss = view.loss(net.logits(inputs) / temperature, targets) * len(inputs)
        for name, value in gradient(loss, net.weights).items():
            sums[name] += value
        count += len(inputs)
    return {name: total / count for name, total in sums.items()}


def hessian_product(
    view: View, net: FunctionalNetwork, vector: Mapping[str, Tensor], temperature: float = 1.0,
    batch_norm: str = "eval",
) -> dict[str, Tensor]:  # fmt: skip
    """Return H·v, with H the Hessian of the mean loss over the calibration samples.

    Args:
        view: gives the samples and the loss; one batch is held at a time.
        net: the network as a function.
        vector: v, by weight.
        temperature: divides the logits.
        batch_norm: the mode in which the network was made a function.

    Raises:
        Refused: the network cannot be differentiated twice.
    """
    sums = {name: torch.zeros_like(weight) for name, weight in net.weights.items()}
    count = 0
    for inputs, targets in view.normed_batches(batch_norm):
        loss = view.loss(net.logits(inputs) / temperature, targets) * len(inputs)
        first = gradient(loss, net.weights, create_graph=True)
        along = torch.stack([(first[name] * value).sum() for name, value in vector.items()]).sum()
        try:
            second = gradient(along, net.weights)
        except RuntimeError as error:
            raise Refused(
                f"{type(view.model).__name__} cannot be differentiated twice: {error}"
            ) from error
        for name, value in second.items():
            sums[name] += value
        count += len(inputs)
    return {name: total / count for name, total in sums.items()}


def sample_gradients(view: View, names: Sequence[str], chunk: int) -> Iterator[dict[str, Tensor]]:
    """Yield gradients of single samples' losses, [up to chunk, *weight.shape] by weight.

    Each sample takes its own backward pass. This is right for every network, and on a CPU not
    slower than a vectorized version. Weights outside ``view.within`` have gradient zero. The
    tensors are overwritten by the next chunk: use them before asking for it.

    Args:
        view: gives the samples and the loss.
        names: the weights.
        chunk: how many samples at a time.
    """
    with network(view, names) as net:
        buffers = {
            name: weight.detach().new_empty(chunk, *weight.shape)
            for name, weight in net.weights.items()
        }
        filled = 0
        for inputs, targets in view.batches:
            for index in range(len(inputs)):
                loss = view.loss(net.logits(inputs[index : index + 1]), targets[index : index + 1])
                for name, value in gradient(loss, net.weights).items():
                    within = view.within.get(name)
                    buffers[name][filled] = value if within is None else value * within
                filled += 1
                if filled == chunk:
                    yield buffers
                    filled = 0
        if filled:
            yield {name: buffer[:filled] for name, buffer in buffers.items()}


def sample_count(view: View) -> int:
    """Return how many calibration samples there are."""
    return sum(len(inputs) for inputs, _ in view.batches)


def zeros(view: View) -> dict[str, Tensor]:
    """Return zeros for every prunable weight, in single precision at least, contiguous."""
    plain = torch.contiguous_format  # whose flat view is in the order of the indices
    return {
        name: torch.zeros_like(
            weight, dtype=torch.promote_types(weight.dtype, torch.float32), memory_format=plain
        )
        for name, weight in view.weights.items()
    }
