"""Find the classifier: the layers whose weights are the last on the way to an output.

A layer is one if its output reaches an output of the network, and no weight that comes after it
does so with it: of two heads both are, and what a head reads is none, though it be returned too.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterable, Iterator
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, Node, Tracer

from prunebench.training.loop import outputs_of
from prunebench.training.models import head_of

# functions that apply weights, by their names in torch and in torch.nn.functional
_APPLIES = {
    "linear", "bilinear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
    "conv_transpose3d", "matmul", "mm", "bmm", "addmm", "baddbmm", "einsum", "embedding",
}  # fmt: skip
_SIZES = {"size", "dim", "numel", "shape", "ndim", "device", "dtype"}


def find_classifier(model: nn.Module, example: Tensor | None = None) -> list[nn.Module]:
    """Return the classifier: its layers, and all modules in them.

    It is what the network's own ``get_classifier()`` returns, else what a trace shows. Where the
    network cannot be traced, as some can without an input, it is guessed to be the last linear
    layer, with a warning.

    Args:
        model: the network; it is not changed.
        example: an input [B, ...], for networks whose course depends on values.
    """
    if hasattr(model, "get_classifier"):
        return head_of(model)
    found = _by_graph(model)
    if found is None and example is not None:
        device = next((value.device for value in model.parameters()), example.device)
        found = _by_run(model, example.to(device))
    if found is None:
        found = head_of(model)
        names = {id(module): name for name, module in model.named_modules()}
        told = ", ".join(names[id(module)] for module in found) or "none"
        give = "give an example that it takes, or " if example is None else ""
        warnings.warn(
            f"{type(model).__name__} cannot be traced for its classifier, which is guessed to be"
            f" the last linear layer ({told}); {give}name it: prunable: {{classifier: [...]}}",
            stacklevel=2,
        )
    return found


def _has_weights(module: nn.Module) -> bool:
    return any(value.ndim > 1 for value in module.parameters())


def _last(found: Iterable[Any], before: Any) -> list[Any]:
    """Those of the places found from which no other one is reached going back."""
    kept = list(dict.fromkeys(found))
    return [one for one in kept if not any(one in before(other) for other in kept)]


# ------------------------------------------------------------------------- without an input


def _by_graph(model: nn.Module) -> list[nn.Module] | None:
    """Return the last layers by symbolic tracing, also those that only training runs.

    None where it cannot be traced.
    """
    found: set[str] = set()
    try:
        copy = _structure(model)
    except Exception:  # whatever a network of one's own keeps in its attributes
        return None
    for training in (False, True):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of what the copy is not asked for
                graph = _trace(copy.train(training))
        except Exception:  # its course depends on values
            if not training:
                return None
            continue
        found |= set(_last_of_graph(graph, copy))
    return [model.get_submodule(name) for name in sorted(found)]


def _structure(model: nn.Module) -> nn.Module:
    """Return a copy of a network without values: tracing may leave its marks in attributes."""
    memo: dict[int, Any] = {}
    for module in model.modules():
        held = (*vars(module).values(), *module._parameters.values(), *module._buffers.values())
        for value in held:
            if isinstance(value, nn.Parameter):
                memo[id(value)] = nn.Parameter(value.detach().to("meta"), value.requires_grad)
            elif isinstance(value, Tensor):
                memo[id(value)] = value.detach().to("meta")
    return deepcopy(model, memo)


def _trace(model: nn.Module) -> Graph:
    """Trace a network with the first of its arguments alone; the others have their defaults."""
    _, *others = inspect.signature(model.forward).parameters.values()
    fixed = {p.name: p.default for p in others if p.default is not p.empty}
    return Tracer().trace(model, concrete_args=fixed or None)


def _last_of_graph(graph: Graph, model: nn.Module) -> Iterator[str]:
    """Yield the names of the modules whose weights are the last before the outputs.

    Of a layer that is called these are it and all in it, of weights that a function applies the
    module alone that holds them.
    """
    owners: dict[Node, set[str]] = {}  # of values that are computed from parameters alone
    applied: dict[Node, set[str]] = {}  # layers, and functions that apply a weight
    output = None
    for node in graph.nodes:
        inputs = node.all_input_nodes
        if node.op == "output":
            output = node
        elif node.op == "get_attr":
            value: Any = model
            *place, name = str(node.target).split(".")
            for part in (*place, name):
                value = getattr(value, part)
            heavy = isinstance(value, Tensor) and value.ndim > 1
            owners[node] = {".".join(place)} if heavy else set()
        elif node.op == "call_module":
            layer = model.get_submodule(str(node.target))
            if _has_weights(layer):
                parts = (f"{node.target}.{name}".rstrip(".") for name, _ in layer.named_modules())
                applied[node] = set(parts)
        elif node.op in ("call_function", "call_method"):
            held: set[str] = set().union(*(owners.get(one, set()) for one in inputs))
            if inputs and all(one in owners for one in inputs):
                owners[node] = held
            elif held and _name(node) in _APPLIES:
                applied[node] = held

    def before(node: Node, stops: bool = False) -> set[Node]:
        """Return the nodes with weights that a node stands on; with ``stops`` the next ones."""
        seen: set[Node] = set()
        waiting = list(node.all_input_nodes)
        while waiting:
            one = waiting.pop()
            if one in seen or _name(one) in _SIZES or _size(one):
                continue
            seen.add(one)
            if not (stops and one in applied):
                waiting += one.all_input_nodes
        return {one for one in seen if one in applied}

    if output is not None:
        reached = before(output, stops=True)
        for node in _last([one for one in graph.nodes if one in reached], before):
            yield from sorted(applied[node])


def _name(node: Node) -> str:
    """The name of the function or method that a node calls; "" of others."""
    if node.op == "call_method":
        return str(node.target)
    return getattr(node.target, "__name__", "") if node.op == "call_function" else ""


def _size(node: Node) -> bool:
    """Whether a node reads an attribute that has no values, such as a shape."""
    return _name(node) == "getattr" and len(node.args) > 1 and node.args[1] in _SIZES


# ---------------------------------------------------------------------------- with an input


def _by_run(model: nn.Module, example: Tensor) -> list[nn.Module] | None:
    """Return the last layers by a forward pass in eval mode; None where it shows none."""
    made: dict[Any, nn.Module] = {}  # step of autograd -> the layer that ends in it

    def hook(module: nn.Module, args: Any, output: Any) -> None:
        made.update({value.grad_fn: module for value in outputs_of(output) if value.grad_fn})

    leaves = [m for m in model.modules() if _has_weights(m) and not list(m.children())]
    frozen = [value for value in model.parameters() if not value.requires_grad]
    modes = [(module, module.training) for module in model.modules()]
    handles = [module.register_forward_hook(hook) for module in leaves]
    try:
        for value in frozen:  # autograd skips what is frozen
            value.requires_grad_(value.is_floating_point())
        model.eval()
        with torch.enable_grad():
            ends = [value.grad_fn for value in outputs_of(model(example)) if value.grad_fn]
    except Exception:  # whatever is wrong with it is told where it is used
        return None
    finally:
        for handle in handles:
            handle.remove()
        for value in frozen:
            value.requires_grad_(False)
        for module, training in modes:
            module.training = training

    def before(step: Any, stops: bool = False) -> set[Any]:
        seen: set[Any] = set()
        waiting = [step] if stops else [one for one, _ in step.next_functions]
        while waiting:
            one = waiting.pop()
            if one is None or one in seen:
                continue
            seen.add(one)
            if not (stops and one in made):
                waiting += [other for other, _ in one.next_functions]
        return {one for one in seen if one in made}

    found = _last([one for end in ends for one in before(end, stops=True)], before)
    return list(dict.fromkeys(made[step] for step in found)) or None
