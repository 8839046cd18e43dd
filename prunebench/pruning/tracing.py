"""Trace which channels of a network are coupled, by torch-pruning's dependency graph (Fang 2023).

The graph follows channels as lists of indices. Where it misreads a reshape, these lists may grow
without end. So all its work is counted, which bounds time and memory alike on every machine.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import torch_pruning
from torch import Tensor, nn
from torch_pruning.dependency import shape_infer

from prunebench.errors import Refused
from prunebench.pruning.hidden_units import stand_ins
from prunebench.pruning.modes import evaluating
from prunebench.training.loop import outputs_of

MOST_STEPS = 50_000_000  # of one network; DenseNet-201 takes 36 million, in 15 seconds
_SHARES = 25  # the part of them that the channels of one layer may take: one in 25
_LOST = 2  # how often those of a layer count that took them in vain: few such layers are tried
MOST_CHANNELS = 200_000  # that one step may list; the widest layers of known networks read 100,352
_TOO_MANY = "a reshape multiplies its channels to more than {:,}"
_ROOTS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding)


@dataclass(frozen=True)
class Step:
    """What a step of the graph removes of one module, for the channels of one layer."""

    module: nn.Module | nn.Parameter
    output: bool  # whether the channels are the module's outputs, not its inputs
    positions: list[int]  # along the module's channels
    channels: list[int]  # of the layer that the steps began at, one for each position
    leaves: bool  # whether the channels are part of what the network returns


@dataclass(frozen=True)
class Traced:
    """The steps from every layer, and the parameters outside of known modules.

    ``lost``: a layer whose channels cannot be followed -> why, in words that fit into a bracket.
    """

    couplings: list[list[Step]]
    loose: dict[int, int]  # id of a parameter -> the dimension of its channels
    lost: dict[nn.Module, str]


def trace(model: nn.Module, example: Tensor) -> Traced:
    """Return what must go with the outputs of each convolution, linear layer and embedding.

    Recurrent layers are in it as ``HiddenUnits``.

    Args:
        model: the network; it is not changed.
        example: an input [B, C, H, W] to trace with.

    Raises:
        Refused: the model does not run, its graph cannot be built, or none of its layers can be
            followed within ``MOST_STEPS`` and ``MOST_CHANNELS``.
    """
    frozen = [p for p in model.parameters() if not p.requires_grad]
    try:
        for parameter in frozen:  # the graph is read from autograd, which skips frozen parameters
            parameter.requires_grad_(True)
        with (
            warnings.catch_warnings(),
            torch.enable_grad(),
            evaluating(model),
            stand_ins(model),
        ):
            warnings.simplefilter("ignore")  # it warns of parameters outside of modules
            graph = _Graph()
            graph.build_dependency(
                model,
                example,
                forward_fn=lambda network, inputs: network(inputs),
                output_transform=_differentiable,
            )
            found = list(graph.followed())
            if graph.lost and not found:
                raise RuntimeError(next(iter(graph.lost.values())))
    except Exception as error:
        raise Refused(
            f"{type(model).__name__} cannot be traced for coupled channels: {_said(error)}"
        ) from error
    finally:
        for parameter in frozen:
            parameter.requires_grad_(False)
    loose = {id(item.parameters): item.pruning_dim for item in graph.unwrapped_parameters}
    return Traced([[_step(item) for item in members] for members in found], loose, graph.lost)


def _said(error: Exception) -> str:
    """Return what an error says; one that is no RuntimeError is a fault of the graph's own."""
    if isinstance(error, RuntimeError):
        return str(error)
    return f"torch-pruning ends in {type(error).__name__}: {error}"


def _differentiable(output: Any) -> list[Tensor]:
    """Return all that a network returned and that depends on its parameters."""
    return [tensor for tensor in outputs_of(output) if tensor.grad_fn is not None]


def _step(item: Any) -> Step:
    module = item.dep.target.module
    return Step(
        module,
        "out_channels" in item.dep.handler.__name__,
        item.idxs,
        item.root_idxs if item.root_idxs is not None else item.idxs,
        isinstance(module, torch_pruning.ops._OutputOp),
    )


class _Graph(torch_pruning.DependencyGraph):  # type: ignore[misc]
    """A dependency graph that stops when its work exceeds the bounds.

    ``lost``: the layers that could not be followed -> why.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lost: dict[nn.Module, str] = {}
        self.left = MOST_STEPS
        self.bound = 0  # what must be left, for a layer not to take the steps of all others
        self.walked = 0  # steps of the group that is being followed

    def followed(self) -> Iterator[Any]:
        """Yield the group of each layer's outputs, each once, but for those that are lost."""
        seen: set[nn.Module] = set()
        for module in list(self.module2node):
            if not isinstance(module, _ROOTS) or module in seen:
                continue
            pruner = self.get_pruner_of_module(module)
            begun = self.left
            self.bound = begun - MOST_STEPS // _SHARES
            try:
                count = pruner.get_out_channels(module)
                group = self.get_pruning_group(module, pruner.prune_out_channels, range(count))
            except Exception as error:  # it was not made for every reshape
                self.lost[module] = _said(error)
                self.left -= (_LOST - 1) * (begun - self.left)
                continue
            finally:
                self.bound = 0
            cut = (dep for dep, _ in group if self.is_out_channel_pruning_fn(dep.handler))
            seen |= {dep.target.module for dep in cut if isinstance(dep.target.module, nn.Module)}
            yield group

    def _spend(self, steps: int) -> None:
        self.left -= steps
        if self.left < max(0, self.bound):
            most = MOST_STEPS if self.left < 0 else MOST_STEPS // _SHARES
            raise RuntimeError(f"it takes more than {most:,} steps")

    def _walk(self, indices: list[Any]) -> list[Any]:
        # each step is compared with all before it
        if len(indices) > MOST_CHANNELS:
            raise RuntimeError(_TOO_MANY.format(MOST_CHANNELS))
        self.walked += 1
        self._spend(len(indices) + self.walked)
        return indices

    def _build_dependency(self, module2node: dict[Any, Any]) -> None:
        super()._build_dependency(module2node)
        for node in module2node.values():
            if node.type == torch_pruning.ops.OPTYPE.CONCAT:
                node.module.concat_sizes = _joined_sizes(node)
            if node.type == torch_pruning.ops.OPTYPE.SPLIT and _read_again(node):
                node.enable_index_mapping = False  # it would take each reader for a part
            if node.type == torch_pruning.ops.OPTYPE.RESHAPE and self._without_channels(node):
                node.type = torch_pruning.ops.OPTYPE.ELEMENTWISE  # it would divide by none
            for dependency in node.dependencies:
                dependency.index_mapping = _Counted(dependency.index_mapping, self._walk)

    def _without_channels(self, node: Any) -> bool:
        """Return whether torch-pruning counts no channels on a side of a reshape.

        So it does where a way leads past all layers, as in networks that split their channels.
        """
        before = (shape_infer.infer_out_channels_recursively(self, one, [0]) for one in node.inputs)
        after = (shape_infer.infer_in_channels_recursively(self, one, [0]) for one in node.outputs)
        return 0 in before or 0 in after

    def get_pruning_group(self, *args: Any, **kwargs: Any) -> Any:
        self.walked = 0
        return super().get_pruning_group(*args, **kwargs)

    def get_out_channels(self, module_or_node: Any) -> int | None:
        self._spend(1)
        return super().get_out_channels(module_or_node)

    def get_in_channels(self, module_or_node: Any) -> int | None:
        self._spend(1)
        return super().get_in_channels(module_or_node)


def _reads(node: Any) -> list[tuple[Any, int]]:
    """Return what a node reads in autograd, in the order of its inputs: function and output."""
    given = {id(before.module) for before in node.inputs}
    return [
        (function, output)
        for function, output in getattr(node.grad_fn, "next_functions", ())
        # a module's own parameters are variables, too, and no inputs of it
        if function and (not hasattr(function, "variable") or id(function.variable) in given)
    ]


def _joined_sizes(node: Any) -> list[int]:
    """Return what each input of a concatenation has along its dimension, as autograd recorded it.

    torch-pruning infers it from the layers before, and gives up where the way is long.
    """
    dim = int(node.grad_fn._saved_dim)
    dim = dim if dim < 2**63 else dim - 2**64  # how autograd keeps -1
    return [int(function._input_metadata[output].shape[dim]) for function, output in _reads(node)]


def _read_again(split: Any) -> bool:
    """Return whether a part of a split is read more than once."""
    readers = {id(reader): reader for reader in split.outputs}.values()
    parts = [part for reader in readers for read, part in _reads(reader) if read is split.grad_fn]
    return len(parts) > len(set(parts))


class _Counted(list[Any]):
    """The index mappings of a dependency, each bounded, with a last one that counts what passes."""

    def __init__(self, mappings: list[Any], count: Callable[[list[Any]], list[Any]]) -> None:
        super().__init__(mappings)
        self.count_passing = count

    def __iter__(self) -> Iterator[Any]:
        for mapping in super().__iter__():
            yield None if mapping is None else partial(_bounded, mapping)
        yield self.count_passing


def _bounded(mapping: Callable[[list[Any]], list[Any]], indices: list[Any]) -> list[Any]:
    """Return the mapped indices, unless they are more than ``MOST_CHANNELS``.

    What one of them becomes tells how many all will be: a list that is too long is never made.
    """
    if len(indices) * len(mapping(indices[:1])) > MOST_CHANNELS:
        raise RuntimeError(_TOO_MANY.format(MOST_CHANNELS))
    return mapping(indices)
