"""Pruning beside the authors' own programs, in pairs: processor seconds, and masks that agree.

    PYTHONPATH=. python benchmarks/authors_pruning.py --synflow Synaptic-Flow --grasp GraSP \\
        --sparsegpt sparsegpt --wanda wanda --pairs 7

Run by hand, on one thread, with checkouts of the authors' repositories: ganguli-lab/Synaptic-Flow
(also for its SNIP and GraSP), alecwangcq/GraSP, IST-DASLab/sparsegpt and locuslab/wanda. None of
their code is here; a checkout that is not named is left out. Torch-Pruning, a dependency, is always
there. Both sides of a pair prune a copy of one network, on the same data, to the same sparsity.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import sys
import time
import warnings
from argparse import Namespace
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.paired_times import ratio
from prunebench.pruning.api import prune

Masks = dict[str, Tensor]
SPARSITY = 0.5


@dataclass(frozen=True)
class Case:
    """A network, the suite's way and the authors' way to prune it; each returns its masks."""

    model: nn.Module
    ours: Callable[[nn.Module], Masks]
    theirs: Callable[[nn.Module], Masks]
    # layers of the network whose masks are not compared, as theirs leaves or ours leaves them
    apart: tuple[str, ...] = field(default=())


def module(checkout: Path, name: str, forget: tuple[str, ...] = ()) -> ModuleType:
    """Import a module of a checkout; others of the same names are forgotten first."""
    for known in [one for one in sys.modules if one.partition(".")[0] in forget]:
        del sys.modules[known]
    sys.path.insert(0, str(checkout))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(checkout))


def images(count: int) -> list[tuple[Tensor, Tensor]]:
    """Return noise in batches of 64 at most, with labels of ten classes in turn."""
    draw = torch.Generator().manual_seed(0)
    inputs = torch.randn(count, 3, 32, 32, generator=draw)
    labels = torch.arange(count) % 10
    return list(zip(inputs.split(64), labels.split(64), strict=True))


def zeros(model: nn.Module) -> Masks:
    """Return what is kept of every weight, by its being zero."""
    return {name: value != 0 for name, value in model.named_parameters() if value.ndim > 1}


# ------------------------------------------------------------------ before training: images


def resnet20(checkout: Path) -> nn.Module:
    """Return Synaptic-Flow's own ResNet-20, whose layers hold masks."""
    torch.manual_seed(0)
    models = module(checkout, "Models.lottery_resnet", ("Models", "Layers", "Utils", "Pruners"))
    return models.resnet20((3, 32, 32), 10)


def synaptic_flow(
    checkout: Path, pruner: str, method: dict[str, Any], rounds: int, batch_norm_trains: bool
) -> Case:
    """A method as Synaptic-Flow's ``prune_loop`` runs it; all layers but biases and norms."""
    model, batches = resnet20(checkout), images(256)
    loop = module(checkout, "prune").prune_loop
    pruners, generator = module(checkout, "Pruners.pruners"), module(checkout, "Utils.generator")

    def theirs(network: nn.Module) -> Masks:
        masked = list(generator.masked_parameters(network))
        loop(
            network, nn.CrossEntropyLoss(), getattr(pruners, pruner)(masked), batches,
            torch.device("cpu"), 1 - SPARSITY, "exponential", "global", rounds,
            train_mode=batch_norm_trains,
        )  # fmt: skip
        names = {id(value): name for name, value in network.named_parameters()}
        return {names[id(value)]: mask != 0 for mask, value in masked}

    def ours(network: nn.Module) -> Masks:
        return prune(network, method, SPARSITY, batches=batches, prunable={"head": True})

    return Case(model, ours, theirs)


def grasp(checkout: Path, synflow: Path) -> Case:
    """GraSP's own program, on the network of Synaptic-Flow; both see the same batch twice."""
    model, (batch, *_) = resnet20(synflow), images(64)
    halves = [(part[0], part[1]) for part in zip(*(each.split(32) for each in batch), strict=True)]
    program = module(checkout, "pruner.GraSP", ("pruner",))
    program.GraSP_fetch_data = lambda *_: batch  # draws samples one by one, which is not timed
    method = {"criterion": {"name": "grasp", "batch_norm": "train"}}

    def theirs(network: nn.Module) -> Masks:
        found = program.GraSP(network, SPARSITY, None, torch.device("cpu"), reinit=False)
        names = {one: name for name, one in network.named_modules()}
        return {f"{names[layer]}.weight": mask != 0 for layer, mask in found.items()}

    def ours(network: nn.Module) -> Masks:
        return prune(network, method, SPARSITY, batches=halves, prunable={"head": True})

    return Case(model, ours, theirs)


# ------------------------------------------------------------------ trained: transformers


def transformer() -> nn.Module:
    """Return timm's vision transformer, 192 wide and 6 blocks deep, for images of 32×32."""
    import timm

    torch.manual_seed(0)
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=32, patch_size=4, depth=6, num_classes=10
    ).eval()


def linear_layers(block: nn.Module) -> dict[str, nn.Linear]:
    """Return the linear layers in a block of a transformer, by name."""
    return {name: one for name, one in block.named_modules() if isinstance(one, nn.Linear)}


@torch.no_grad()
def sparsegpt(checkout: Path) -> Case:
    """SparseGPT's own class, block after block as its ``opt.py`` goes; batches of 64, not of 1."""
    model, batches = transformer(), images(256)
    program = module(checkout, "sparsegpt", ("sparsegpt", "quant"))

    @torch.no_grad()
    def theirs(network: Any) -> Masks:
        seen: list[Tensor] = []
        hook = network.blocks[0].register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        for inputs, _ in batches:
            with contextlib.suppress(StopIteration):
                network(inputs)
        hook.remove()
        for block in network.blocks:
            layers = {name: program.SparseGPT(one) for name, one in linear_layers(block).items()}
            hooks = [
                one.layer.register_forward_hook(
                    lambda _, args, out, one=one: one.add_batch(args[0], out)
                )
                for one in layers.values()
            ]
            for inputs in seen:
                block(inputs)
            for handle in hooks:
                handle.remove()
            for one in layers.values():
                one.fasterprune(SPARSITY)
                one.free()
            seen = [block(inputs) for inputs in seen]
        return zeros(network)

    def ours(network: nn.Module) -> Masks:
        return prune(
            network, {"criterion": "sparsegpt", "allocation": "uniform"}, SPARSITY,
            batches=batches, prunable={"exclude": ["patch_embed*"]},
        )  # fmt: skip

    return Case(model, ours, theirs)


@torch.no_grad()
def wanda(checkout: Path) -> Case:
    """Wanda's own program for image classifiers, by row."""
    model, batches = transformer(), images(256)
    folder = checkout / "image_classifiers"
    program = module(folder, "prune_utils", ("prune_utils", "layerwrapper"))
    said = Namespace(prune_metric="wanda", prune_granularity="row", sparsity=SPARSITY)
    inputs = torch.cat([images for images, _ in batches])

    @torch.no_grad()
    def theirs(network: nn.Module) -> Masks:
        program.prune_vit(said, network, inputs, torch.device("cpu"))
        return zeros(network)

    def ours(network: nn.Module) -> Masks:
        return prune(
            network, {"criterion": "wanda", "allocation": "per-row"}, SPARSITY,
            batches=batches, prunable={"exclude": ["patch_embed*"]},
        )  # fmt: skip

    return Case(model, ours, theirs)


# ------------------------------------------------------------------ filters


def group_norm(model: nn.Module) -> Case:
    """Torch-Pruning's own pruner by group norms, in one ranking; it cuts, the suite masks."""
    import torch_pruning

    example = images(2)[0][0]

    def theirs(network: nn.Module) -> Masks:
        heads = [one for one in network.modules() if isinstance(one, nn.Linear)]
        torch_pruning.pruner.BasePruner(
            network, example, torch_pruning.importance.GroupMagnitudeImportance(p=2),
            global_pruning=True, pruning_ratio=0.3, ignored_layers=heads,
        ).step()  # fmt: skip
        return {}

    def ours(network: nn.Module) -> Masks:
        method = {"criterion": "group-norm", "pattern": "filter"}
        return prune(network, method, SPARSITY, batches=images(2))

    return Case(model, ours, theirs)


# ------------------------------------------------------------------ all


def cases(given: Namespace) -> Iterator[tuple[str, Callable[[], Case]]]:
    """Yield the name of each case whose checkouts are there, and what makes it."""
    from benchmarks.synflow_cost import MODELS

    at_start = {"name": "at-initialization", "rounds": 100}
    if given.synflow:
        rounds = {"criterion": "synflow", "schedule": at_start, "recovery": "weight-rewinding"}
        yield "SynFlow", lambda: synaptic_flow(given.synflow, "SynFlow", rounds, 100, False)
        snip = {"criterion": {"name": "snip", "batch_norm": "train"}}
        yield "SNIP", lambda: synaptic_flow(given.synflow, "SNIP", snip, 1, True)
        like = {"criterion": {"name": "grasp", "batch_norm": "train"}}
        yield "GraSP, theirs", lambda: synaptic_flow(given.synflow, "GraSP", like, 1, True)
        if given.grasp:
            yield "GraSP", lambda: grasp(given.grasp, given.synflow)
    if given.sparsegpt:
        yield "SparseGPT", lambda: sparsegpt(given.sparsegpt)
    if given.wanda:
        yield "Wanda", lambda: wanda(given.wanda)
    for name in ("resnet20", "resnet18"):
        yield f"group norm {name}", lambda name=name: group_norm(MODELS[name]())


def timed(way: Callable[[nn.Module], Masks], model: nn.Module) -> tuple[Masks, float]:
    """Return the masks of a copy, and the processor seconds; what is printed is dropped."""
    network = deepcopy(model)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        begun = time.process_time()
        found = way(network)
        return found, time.process_time() - begun


def main() -> None:
    """Time each case in turns, and print the ratios of the pairs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for checkout in ("synflow", "grasp", "sparsegpt", "wanda"):
        parser.add_argument(f"--{checkout}", type=lambda text: Path(text).resolve())
    parser.add_argument("--only", nargs="+", help="names of cases")
    parser.add_argument("--pairs", type=int, default=7)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.cuda.synchronize = lambda *_: None  # theirs ask for a GPU to wait for
    for name, make in cases(given):
        if given.only and not any(name.startswith(one) for one in given.only):
            continue
        case = make()
        ours, theirs = timed(case.ours, case.model)[0], timed(case.theirs, case.model)[0]
        shared = [one for one in ours if one in theirs and ours[one].shape == theirs[one].shape]
        same = sum(int((ours[one] == theirs[one]).sum()) for one in shared)
        total = sum(ours[one].numel() for one in shared)
        pairs = [
            (timed(case.ours, case.model)[1], timed(case.theirs, case.model)[1])
            for _ in range(given.pairs)
        ]
        took, beside = zip(*pairs, strict=True)
        agree = f"; {same / total:.3%} of the masks agree" if total else ""
        print(
            f"{name:22} ours {statistics.median(took):7.3f} s, theirs"
            f" {statistics.median(beside):7.3f} s; ratio {ratio(took, beside)}{agree}",
            flush=True,
        )


if __name__ == "__main__":
    main()
