"""SynFlow beside a plain loop that follows the paper's algorithm, in pairs: processor seconds.

    PYTHONPATH=. python benchmarks/synflow_cost.py --model resnet20 --rounds 10 --pairs 7

Run by hand, on one thread. The loop is a rewriting of algorithm 1 (Tanaka 2020) in as few lines as
it takes: no checks, no ties, no tracing, in single or in double precision. Both prune the same
network to the same sparsity; the share of weights on which they agree is printed as well, since
single precision is no reference where it overflows.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from benchmarks.paired_times import ratio
from prunebench.pruning.api import prune
from prunebench.training.networks.cifar_resnet import resnet20

Masks = dict[str, Tensor]
SHAPE = (1, 3, 32, 32)


def resnet18() -> nn.Module:
    """Return timm's ResNet-18 for ten classes."""
    import timm

    return timm.create_model("resnet18", num_classes=10, zero_init_last=False)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "resnet20": lambda: resnet20()(num_classes=10, in_chans=3, image_size=(32, 32)),
    "resnet18": resnet18,
}


def plain(model: nn.Module, sparsity: float, rounds: int, dtype: torch.dtype) -> Masks:
    """Prune every convolution by algorithm 1 of the paper; return name -> bool, True is kept."""
    model.eval().to(dtype)
    state = model.state_dict()
    signs = {name: value.sign() for name, value in state.items()}
    weights = {
        f"{name}.weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d)
    }
    masks = {name: torch.ones_like(weight, dtype=torch.bool) for name, weight in weights.items()}
    total = sum(mask.numel() for mask in masks.values())
    for step in range(1, rounds + 1):
        with torch.no_grad():
            for value in state.values():
                value.abs_()
            for name, mask in masks.items():
                weights[name].mul_(mask)
        model.zero_grad()
        model(torch.ones(SHAPE, dtype=dtype)).sum().backward()
        scores = {name: (weight.grad * weight).detach() for name, weight in weights.items()}
        remove = total - round(total * (1 - sparsity) ** (step / rounds))
        least = torch.cat([score.flatten() for score in scores.values()]).kthvalue(remove)[0]
        masks = {name: score > least for name, score in scores.items()}
        with torch.no_grad():
            for name, value in state.items():
                value.mul_(signs[name])
    return masks


def ours(model: nn.Module, sparsity: float, rounds: int) -> Masks:
    """Prune as the suite does."""
    schedule = {"name": "at-initialization", "rounds": rounds}
    method = {"criterion": "synflow", "schedule": schedule, "recovery": "weight-rewinding"}
    return prune(model, method, sparsity, batches=[(torch.ones(SHAPE), torch.zeros(1).long())])


def main() -> None:
    """Time the three in turn, and print the ratios of the pairs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", choices=MODELS, default="resnet20")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--sparsity", type=float, default=0.9)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # of layers that keep all their weights
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = MODELS[given.model]()

    ways: dict[str, Callable[[nn.Module], Masks]] = {
        "ours": lambda net: ours(net, given.sparsity, given.rounds),
        "plain, double": lambda net: plain(net, given.sparsity, given.rounds, torch.float64),
        "plain, single": lambda net: plain(net, given.sparsity, given.rounds, torch.float32),
    }
    masks = {name: way(deepcopy(model)) for name, way in ways.items()}  # and warms up
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(given.pairs):
        for name, way in ways.items():
            net = deepcopy(model)
            begun = time.process_time()
            way(net)
            seconds[name].append(time.process_time() - begun)
    for name, each in seconds.items():
        same = sum(int((masks["ours"][w] == masks[name][w]).sum()) for w in masks["ours"])
        share = same / sum(mask.numel() for mask in masks["ours"].values())
        print(
            f"{name:14} {statistics.median(each):7.2f} s; times ours takes it:"
            f" {ratio(seconds['ours'], each)}; {share:.4%} of the masks agree"
        )


if __name__ == "__main__":
    main()
