"""All batches through a network together, layer by layer: one pass where each layer took one.

A layer can be changed after its inputs are known and before it runs. Each batch is on its way in a
thread of its own, of which one runs at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Semaphore, Thread, current_thread
from typing import Any, cast

import torch
from torch import Tensor, nn

from prunebench.pruning.modes import evaluating

MOST = 256  # batches, each of which holds its activations


class OutOfStepError(Exception):
    """Batches do not come to each layer once, all in one order."""


class _Ended(BaseException):
    """Ends a batch on its way."""


class _Batch(Thread):
    """A batch on its way through a network, which waits before each layer that is watched."""

    def __init__(self, model: nn.Module, inputs: Tensor) -> None:
        super().__init__(daemon=True)
        self._model, self._inputs = model, inputs
        self._turn, self._done = Semaphore(0), Semaphore(0)
        self._at: tuple[nn.Module, Tensor] | None = None
        self._error: Exception | None = None
        self._ended = False

    def run(self) -> None:
        self._turn.acquire()
        try:
            if not self._ended:
                with torch.no_grad():  # each thread has a mode of its own
                    self._model(self._inputs)
        except _Ended:
            pass
        except Exception as error:
            self._error = error
        self._at = None
        self._done.release()

    def wait_before(self, module: nn.Module, inputs: Tensor) -> None:
        """Give the turn back, from within the pass."""
        self._at = module, inputs
        self._done.release()
        self._turn.acquire()
        if self._ended:
            raise _Ended

    def go(self) -> tuple[nn.Module, Tensor] | None:
        """Go on to the next layer; return it with its inputs, or None where the pass has ended."""
        self._turn.release()
        self._done.acquire()
        if self._error is not None:
            raise self._error
        return self._at

    def end(self) -> None:
        """End the pass wherever it is."""
        self._ended = True
        self._turn.release()
        self.join()


def layer_by_layer(
    model: nn.Module, layers: Iterable[nn.Module], batches: list[Tensor],
    see: Callable[[nn.Module, Tensor], None], change: Callable[[nn.Module], None],
) -> None:  # fmt: skip
    """Pass batches in eval mode, without gradients, and let each layer be changed before it runs.

    Args:
        model: the network.
        layers: modules in it, to stop at.
        batches: inputs of the network, [B, ...] each.
        see: called with a layer and its input, for each batch in turn.
        change: called with the layer after all of them have come to it.

    Raises:
        OutOfStepError: a batch comes to a layer twice, or to another one than those before it; or
            there are more than ``MOST``. Layers may have been changed.
    """
    if len(batches) > MOST:
        raise OutOfStepError

    def wait(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = args[0] if args else next(iter(kwargs.values()))
        cast(_Batch, current_thread()).wait_before(module, given)

    walks = [_Batch(model, inputs) for inputs in batches]
    handles = [layer.register_forward_pre_hook(wait, with_kwargs=True) for layer in layers]
    started: list[_Batch] = []
    seen: set[nn.Module] = set()
    try:
        with evaluating(model):
            for walk in walks:
                walk.start()
                started.append(walk)
            while True:
                first: nn.Module | None = None
                for number, walk in enumerate(walks):
                    at = walk.go()
                    module = None if at is None else at[0]
                    first = module if number == 0 else first
                    if module is not first or module in seen:
                        raise OutOfStepError
                    if at is not None:
                        see(*at)
                if first is None:
                    return
                seen.add(first)
                change(first)
    finally:
        for walk in started:
            walk.end()
        for handle in handles:
            handle.remove()
