"""The training loop that baselines, recoveries and methods that prune while training all use.

Every draw has its own generator, derived from ``seed`` and the epoch. A training that starts at
epoch k so sees the batches that the baseline saw from epoch k on, as rewinding (Frankle 2020)
requires.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.errors import PrunebenchError
from prunebench.experiment.settings import Augmentation, Training
from prunebench.storage.hashing import derive_seed
from prunebench.tasks.batches import epoch_batches, steps_per_epoch
from prunebench.tasks.task_kind import TaskKind
from prunebench.training.checkpoints import Checkpoints, Memory, Point
from prunebench.training.optimizers import optimizer_of

Rate = Callable[[float], float]  # learning rate at a point of training, in epochs
Masks = Mapping[str, Tensor]  # parameter name -> bool, True is kept
_OUTPUTS = 1 << 27  # numbers that a network may return at a time: of a vocabulary there are many


@dataclass(frozen=True)
class Samples:
    """Data to train on and to validate with, as they are stored, e.g. uint8 [N, C, H, W] and [N].

    ``kind`` gives the loss and the error. ``noisy_val_targets`` are the validation targets with the
    noise of the training targets, where the regime has any: whoever must choose without knowing
    which are wrong has only these.
    """

    inputs: Tensor
    targets: Tensor
    val_inputs: Tensor
    val_targets: Tensor
    kind: TaskKind
    normalize: Callable[[Tensor], Tensor]
    augmentation: Augmentation | None = None
    noisy_val_targets: Tensor | None = None

    @property
    def choice_targets(self) -> Tensor:
        """The validation targets by which states and settings are chosen: noisy where there are."""
        return self.val_targets if self.noisy_val_targets is None else self.noisy_val_targets


@dataclass(frozen=True)
class Hooks:
    """Where a method that works while the network trains comes in; steps are counted from 0.

    ``loss(outputs, targets, inputs)`` replaces the task's own, a mean over the batch.
    ``penalty(model)`` is added to it. ``after_backward(step, model)`` sees the gradients before
    those of pruned weights are cleared. ``after_step(step, model)`` may return new masks: a weight
    that they take back starts at zero, and the optimizer knows nothing of its past. Hooks on steps
    and epochs that remember something save it by ``memory``. Without, a training makes no
    checkpoints, and begins anew after a kill.
    """

    loss: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    penalty: Callable[[nn.Module], Tensor] | None = None
    after_backward: Callable[[int, nn.Module], None] | None = None
    after_step: Callable[[int, nn.Module], Masks | None] | None = None
    memory: Memory | None = None


@dataclass(frozen=True)
class Stopped:
    """The state at which early stopping would have ended a training (Prechelt 1998).

    The validated epoch of the lowest error on ``Samples.choice_targets``, the first of equal ones.
    Only epochs under the training's last masks count: earlier states hold weights that are gone.
    """

    epoch: int  # as the history counts
    error: float  # on validation, a fraction
    state: dict[str, Tensor]


@dataclass
class Run:
    """The outcome of a training: its history by epoch, its length, whether the loss diverged.

    ``stopped`` is None where no epoch was validated under the last masks. ``shrunk`` says whether
    the network was trained without its removed units, of the last training that could have been;
    None where none could.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    epochs: float = 0.0
    seconds: float = 0.0
    diverged: bool = False
    stopped: Stopped | None = None
    shrunk: bool | None = None
    why_masked: str = ""  # why it was not

    @property
    def last_epoch(self) -> int:
        """The epoch after which it ended, as the history counts; 0 without any training."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    def then(self, later: Run) -> Run:
        """Return this run and one that followed it as one; the history counts its epochs on."""
        done, stopped = self.last_epoch, self.stopped
        added = [{**entry, "epoch": entry["epoch"] + done} for entry in later.history]
        if later.stopped is not None:
            stopped = replace(later.stopped, epoch=later.stopped.epoch + done)
        epochs, seconds = self.epochs + later.epochs, self.seconds + later.seconds
        diverged = self.diverged or later.diverged
        last = self if later.shrunk is None else later
        return Run(
            [*self.history, *added], epochs, seconds, diverged, stopped, last.shrunk,
            last.why_masked,
        )  # fmt: skip


def cosine(training: Training) -> Rate:
    """Return half a cosine from the learning rate to 0 (Loshchilov & Hutter 2017)."""

    def rate(epoch: float) -> float:
        done = (epoch - training.warmup_epochs) / (training.epochs - training.warmup_epochs)
        return training.learning_rate * 0.5 * (1 + math.cos(math.pi * min(max(done, 0.0), 1.0)))

    return rate


def step(training: Training) -> Rate:
    """Return a learning rate that is ``gamma`` times smaller after each milestone."""

    def rate(epoch: float) -> float:
        passed = sum(epoch >= share * training.epochs for share in training.milestones)
        return training.learning_rate * training.gamma**passed

    return rate


def constant(training: Training) -> Rate:
    """Return the same learning rate throughout."""
    return lambda epoch: training.learning_rate


RATES: dict[str, Callable[[Training], Rate]] = {
    "cosine": cosine,
    "step": step,
    "constant": constant,
}


def learning_rate(training: Training) -> Rate:
    """Return the baseline's learning rate over its epochs, warm-up included."""
    after = RATES[training.schedule](training)
    warmup = training.warmup_epochs

    def rate(epoch: float) -> float:
        return after(epoch) * min(1.0, epoch / warmup) if warmup else after(epoch)

    return rate


@contextmanager
def _autocast(device: torch.device, dtype: torch.dtype | None) -> Iterator[None]:
    if dtype is None:
        yield
    else:
        with torch.autocast(device.type, dtype=dtype):
            yield


def logits_of(output: Any) -> Tensor:
    """Return the logits: the output, the first of a tuple, or what is named ``logits`` in it.

    Raises:
        PrunebenchError: there are none.
    """
    found: Any = output
    if isinstance(output, tuple | list):
        found = output[0] if output else None
    elif isinstance(output, Mapping):
        found = output.get("logits")
    elif not isinstance(output, Tensor):
        found = getattr(output, "logits", None)
    if not isinstance(found, Tensor):
        raise PrunebenchError(
            "forward must return logits, a tuple that begins with them, or a mapping that has"
            f" 'logits'; found {type(output).__name__}"
        )
    return found


def outputs_of(output: Any) -> list[Tensor]:
    """Return all tensors of numbers that a network returned, in tuples, mappings, dataclasses."""
    if isinstance(output, Tensor):
        return [output] if output.is_floating_point() else []
    if isinstance(output, Mapping):
        parts = list(output.values())
    elif isinstance(output, tuple | list):
        parts = list(output)
    elif is_dataclass(output):
        parts = list(vars(output).values())
    else:
        parts = [getattr(output, "logits", ())]
    return [tensor for part in parts for tensor in outputs_of(part)]


def at_once(kind: TaskKind, targets: Tensor, most: int = 500) -> int:
    """Return how many samples a network is given at a time, so that memory holds its outputs.

    Args:
        kind: of the task, with the number of outputs at a position: perhaps a whole vocabulary.
        targets: [N, ...], whose positions are counted.
        most: samples.
    """
    return max(1, min(most, _OUTPUTS // (kind.outputs * max(1, targets[:1].numel()))))


@torch.no_grad()
def predict(
    model: nn.Module, inputs: Tensor, targets: Tensor, kind: TaskKind,
    normalize: Callable[[Tensor], Tensor], batch: int = 500,
) -> Tensor:  # fmt: skip
    """Return what the kind of task stores, on the CPU, in eval mode, without autocast.

    Args:
        model: the network; it is in eval mode afterwards.
        inputs: [N, ...] as they are stored, on the network's device.
        targets: [N, ...], likewise.
        kind: of the task, which says what is kept.
        normalize: stored inputs to the network's.
        batch: samples at a time, fewer where their outputs would be very large.

    Returns:
        float32 [N, ...]: of classes the logits [N, classes].
    """
    model.eval()
    batch = at_once(kind, targets, batch)
    pairs = zip(inputs.split(batch), targets.split(batch), strict=True)
    parts = [
        kind.keep(kind.answers(logits_of(model(normalize(part)))), wanted).cpu()
        for part, wanted in pairs
    ]
    return torch.cat(parts)


def error_of(kind: TaskKind, stored: Tensor, targets: Tensor) -> float:
    """Return the error of stored predictions, in [0, 1]."""
    return kind.error(kind.read(stored.double().numpy()), targets.cpu().numpy())


class Enforcer:
    """Holds pruned weights at zero, and their gradients."""

    def __init__(self, model: nn.Module, masks: Masks) -> None:
        named = dict(model.named_parameters())
        self.parameters: list[Tensor] = [named[name] for name in masks]
        # empty_like keeps the weights' memory format, without which the product is slow
        self.masks = [
            torch.empty_like(parameter).copy_(mask).requires_grad_(False)
            for mask, parameter in zip(masks.values(), self.parameters, strict=True)
        ]

    @torch.no_grad()
    def weights(self) -> None:
        """Set pruned weights to zero, which undoes what momentum or decay did to them."""
        if self.parameters:
            torch._foreach_mul_(self.parameters, self.masks)

    @torch.no_grad()
    def gradients(self) -> None:
        """Clear the gradients of pruned weights: they must not count in a clipped norm."""
        pairs = zip(self.parameters, self.masks, strict=True)
        moved = [(p.grad, mask) for p, mask in pairs if p.grad is not None]
        if moved:
            grads, masks = zip(*moved, strict=True)
            torch._foreach_mul_(grads, masks)

    @torch.no_grad()
    def momentum(self, optimizer: torch.optim.Optimizer) -> None:
        """Clear the optimizer's state of pruned weights; without gradients it stays clear."""
        for parameter, mask in zip(self.parameters, self.masks, strict=True):
            for value in optimizer.state.get(parameter, {}).values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    value.mul_(mask)


NO_HOOKS = Hooks()


def seed_layers(seed: int, device: torch.device) -> None:
    """Seed the global generators, from which dropout and the like draw.

    Of a network on the CPU, that of the CPU alone: ``torch.manual_seed`` would also write down each
    call, with its stack, for when a GPU will be used.

    Args:
        seed: any whole number.
        device: of the network.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


def train(
    model: nn.Module,
    samples: Samples,
    training: Training,
    *,
    seed: int,
    rate: Rate,
    start: int = 0,
    stop: int,
    masks: Masks | None = None,
    precision: torch.dtype | None = None,
    compile: bool = False,
    after_epoch: Callable[[int], None] | None = None,
    hooks: Hooks = NO_HOOKS,
    checkpoints: Checkpoints | None = None,
) -> Run:
    """Train ``model`` in place over epochs ``start`` to ``stop``.

    Args:
        model: the network, on its device.
        samples: data on the same device.
        training: optimizer, batch size, gradient clipping, how often to validate.
        seed: of the order of batches, augmentation and dropout.
        rate: the learning rate at a point of training, in epochs.
        start: the first epoch, counted from 0.
        stop: the epoch after the last.
        masks: parameter name -> bool; weights where it is False are zero before and after every
            step.
        precision: type to autocast to; None: none.
        compile: whether to use ``torch.compile``.
        after_epoch: called with the number of epochs done.
        hooks: of a method that works while the network trains.
        checkpoints: where to save the state; a training that was killed goes on from there.

    Returns:
        The run. A loss that is not finite ends it with ``diverged`` set.
    """
    device = next(model.parameters()).device
    optimizer = optimizer_of(model, training)
    Enforcer(model, masks or {}).weights()
    forward = torch.compile(model) if compile else model
    at, checkpoint = Point(start, 0, dict(masks or {}), {}), None
    if checkpoints is not None and _remembers(hooks, after_epoch):
        rates = [rate(epoch) for epoch in range(start, stop)]
        said = [training.model_dump(), str(precision), compile, seed, start, stop, rates]
        checkpoint = checkpoints.of(model, optimizer, hooks.memory, said, at.masks)
        at = checkpoint.resume() or at
    enforcer, steps = Enforcer(model, at.masks), at.steps
    run = Run(**at.run, stopped=Stopped(**at.stopped) if at.stopped else None)
    begin = time.perf_counter() - run.seconds
    per_epoch = steps_per_epoch(len(samples.targets), training.batch_size)
    for epoch in range(at.epoch, stop):
        total, count = torch.zeros((), device=device), 0
        model.train()
        seed_layers(derive_seed(seed, "layers", epoch), device)
        order = torch.Generator().manual_seed(derive_seed(seed, "batches", epoch))
        batches = epoch_batches(
            samples.inputs, samples.targets, training.batch_size, order,
            normalize=samples.normalize, augmentation=samples.augmentation,
        )  # fmt: skip
        for number, (inputs, targets) in enumerate(batches):
            for group in optimizer.param_groups:
                group["lr"] = rate(epoch + number / per_epoch)
            with _autocast(device, precision):
                outputs = logits_of(forward(inputs))
                if hooks.loss is None:
                    loss = samples.kind.loss(outputs, targets)
                else:
                    loss = hooks.loss(outputs, targets, inputs)
            optimizer.zero_grad(set_to_none=True)
            whole = loss if hooks.penalty is None else loss + hooks.penalty(model)
            whole.backward()
            if hooks.after_backward is not None:
                hooks.after_backward(steps, model)
            enforcer.gradients()
            if training.gradient_clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), training.gradient_clip)
            optimizer.step()
            changed = None if hooks.after_step is None else hooks.after_step(steps, model)
            if changed is not None:
                at.masks, enforcer = dict(changed), Enforcer(model, changed)
                run.stopped = None
                enforcer.momentum(optimizer)
            enforcer.weights()
            steps += 1
            total, count = total + loss.detach() * len(targets), count + len(targets)
        run.epochs += 1
        mean_loss = (total / max(count, 1)).item()
        entry = _entry(model, samples, training, epoch + 1, stop, rate, mean_loss)
        run.history.append(entry)
        if not math.isfinite(mean_loss):
            run.diverged = True
            break
        _offer_stop(run, entry, model)
        if after_epoch is not None:
            after_epoch(epoch + 1)
        if checkpoint is not None:
            run.seconds = time.perf_counter() - begin
            checkpoint.offer(_point(epoch + 1, steps, at.masks, run), last=epoch + 1 == stop)
    run.seconds = time.perf_counter() - begin
    return run


def _remembers(hooks: Hooks, after_epoch: Callable[[int], None] | None) -> bool:
    """Return whether checkpoints can save all that a training's hooks know."""
    acting = (hooks.after_backward, hooks.after_step, after_epoch)
    return hooks.memory is not None or not any(acting)


def _offer_stop(run: Run, entry: dict[str, Any], model: nn.Module) -> None:
    """Remember the state after an epoch if none before has a lower error on validation."""
    error = entry.get("noisy_val_error", entry.get("val_error"))
    if error is not None and (run.stopped is None or error < run.stopped.error):
        run.stopped = Stopped(entry["epoch"], error, deepcopy(model.state_dict()))


def _point(epoch: int, steps: int, masks: dict[str, Tensor], run: Run) -> Point:
    stopped = None if run.stopped is None else dict(vars(run.stopped))
    done = {name: value for name, value in vars(run).items() if name != "stopped"}
    return Point(epoch, steps, masks, done, stopped)


def _entry(
    model: nn.Module, samples: Samples, training: Training, epoch: int, stop: int, rate: Rate,
    loss: float,
) -> dict[str, Any]:  # fmt: skip
    """Return a line of the history, with a validation error every few epochs and at the end."""
    entry: dict[str, Any] = {"epoch": epoch, "learning_rate": rate(epoch - 1)}
    entry["train_loss"] = loss if math.isfinite(loss) else None
    if (epoch % training.validate_every == 0 or epoch == stop) and math.isfinite(loss):
        kind, targets = samples.kind, samples.val_targets
        stored = predict(model, samples.val_inputs, targets, kind, samples.normalize)
        entry["val_error"] = error_of(kind, stored, targets)
        if samples.noisy_val_targets is not None:
            entry["noisy_val_error"] = error_of(kind, stored, samples.noisy_val_targets)
    return entry
