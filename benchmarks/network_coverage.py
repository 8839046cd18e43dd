"""Prune a small network of every module of timm and torchvision in every pattern. Run by hand.

    PYTHONPATH=. nice -n 15 python benchmarks/network_coverage.py --cpu 240 --memory 8

Each network is built small, without trained weights, and pruned to 50 % in every pattern; what is
left is shrunk and compared with the masked network. It runs in a process of its own, within limits
of processor time and memory, and its outcomes are one line of ``docs/network-coverage.json``. A
second call goes on with the modules that have none; ``python docs/generate.py`` makes the table.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import warnings
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from torch import nn

import prunebench
from prunebench.compression.shrink import TOLERANCE, shrink, verify
from prunebench.errors import PrunebenchError, Refused, reason_of
from prunebench.pruning.layers import prunable_layers

RESULTS = Path(__file__).resolve().parents[1] / "docs/network-coverage.json"
SPARSITY = 0.5
PATTERNS: dict[str, dict[str, Any]] = {
    "weight": {"criterion": "magnitude"},
    "n-m": {"criterion": "magnitude", "pattern": {"name": "n-m", "leave_dense": True}},
    "filter": {"criterion": "l2-norm", "pattern": "filter"},
    "block": {"criterion": "random", "pattern": "block"},
}
# a module's network is one whose name has the earliest of these: a small one, without training any
SMALL = (
    "test_", "zepto", "atto", "femto", "pico", "nano", "xxs", "xxt", "xs", "_t0", "tiny", "_b0",
    "_s0", "_m0", "mini", "small", "_050", "_s", "_t", "10", "18", "26", "50",
)  # fmt: skip
CANDIDATES = 6  # of a module, by name; the one of the fewest weights is taken
INPUTS = (
    (3, 64, 64), (3, 96, 96), (3, 128, 128), (3, 224, 224), (3, 240, 240), (3, 256, 256),
    (3, 16, 112, 112), (3, 16, 224, 224),
)  # fmt: skip


def modules() -> dict[str, list[str]]:
    """Return the networks of each module, ``library/module`` -> names, the smallest first."""
    found: dict[str, list[str]] = {}
    for module in timm.list_modules():
        if names := timm.list_models(module=module):
            found[f"timm/{module}"] = names
    for name in torchvision.models.list_models():
        builder = torchvision.models.get_model_builder(name)
        place = builder.__module__.removeprefix("torchvision.models.")
        found.setdefault(f"torchvision/{place}", []).append(name)
    return {place: sorted(names, key=_size_by_name) for place, names in sorted(found.items())}


def _size_by_name(name: str) -> tuple[int, int, str]:
    rank = next((i for i, part in enumerate(SMALL) if part in name), len(SMALL))
    return rank, len(name), name


def smallest(library: str, names: list[str]) -> str:
    """Return the network of the fewest weights among the first candidates, built without memory."""
    weights = {}
    for name in names[:CANDIDATES]:
        try:
            with torch.device("meta"):
                model = built(library, name, INPUTS[0][-1])
        except Exception:  # what asks for values cannot be built so
            continue
        weights[name] = sum(p.numel() for p in model.parameters())
    return min(weights, key=weights.__getitem__, default=names[0])


def built(library: str, name: str, size: int) -> nn.Module:
    """Build a network for 10 classes without trained weights, for images of ``size``."""
    torch.manual_seed(0)
    if library == "torchvision":
        bare = {"weights": None} | ({} if "quantized" in name else {"weights_backbone": None})
        try:
            return torchvision.models.get_model(name, **bare).eval()
        except TypeError:
            return torchvision.models.get_model(name, weights=None).eval()
    try:
        return timm.create_model(name, num_classes=10, img_size=size).eval()
    except TypeError as error:
        if "img_size" not in str(error):
            raise
        return timm.create_model(name, num_classes=10).eval()


def running(library: str, name: str) -> tuple[nn.Module, torch.Tensor]:
    """Return a network and two images of the smallest size that it takes."""
    errors = []
    for shape in INPUTS:
        try:
            model = built(library, name, shape[-1])
            draw = torch.Generator().manual_seed(1)
            inputs = torch.randn(2, *shape, generator=draw)
            with torch.no_grad():
                model(inputs)
        except Exception as error:  # a forward pass may raise anything
            errors.append(reason_of(error))
        else:
            return model, inputs
    largest = max(place for place, shape in enumerate(INPUTS) if len(shape) == 3)
    sizes = f"{INPUTS[0][-1]} to {INPUTS[largest][-1]}"
    raise Refused(f"takes no images of {sizes} pixels: {errors[largest]}")


def outcome(model: nn.Module, inputs: torch.Tensor, pattern: str) -> dict[str, Any]:
    """Prune, shrink and verify; the outcome in a word, and what there is to say."""
    model = deepcopy(model)
    batches = [(inputs, torch.zeros(len(inputs), dtype=torch.long))]
    try:
        layers = prunable_layers(model)
        total = sum(layer.weight.numel() for layer in layers.values())
        masks = prunebench.prune(model, PATTERNS[pattern], SPARSITY, batches=batches)
        gone = sum(int((~masks[name]).sum()) for name in layers if name in masks)
        found = {"sparsity": round(gone / total, 4)}
    except PrunebenchError as error:
        return {"outcome": "refused", "says": str(error)}
    except Exception as error:
        return unexpected(error)
    try:
        small = shrink(model, masks, inputs[:1])
        difference = verify(model, small.model, inputs)
    except PrunebenchError as error:
        return {"outcome": "masked", "says": str(error), **found}
    except Exception as error:
        return {**unexpected(error), **found}
    before, after = (sum(p.numel() for p in net.parameters()) for net in (model, small.model))
    found["left"] = round(after / before, 4)
    if not difference <= TOLERANCE:
        return {"outcome": "different", "says": f"outputs differ by {difference:.1e}", **found}
    return {"outcome": "works", "says": "; ".join(small.notes), **found}


def unexpected(error: Exception) -> dict[str, Any]:
    """Return the outcome of an error that is no refusal: the limit of memory, or a fault."""
    said = reason_of(error)
    limit = isinstance(error, MemoryError) or "can't allocate memory" in said
    return {"outcome": "limit" if limit else "fault", "says": said}


def lines(library: str, name: str) -> Iterator[dict[str, Any]]:
    """Yield what is known of a network, bit by bit: its size, then each pattern's outcome."""
    warnings.simplefilter("ignore")
    try:
        model, inputs = running(library, name)
    except Exception as error:  # so may a constructor
        said = str(error) if isinstance(error, Refused) else reason_of(error)
        yield {"does not run": said}
        return
    weights = sum(p.numel() for p in model.parameters())
    yield {"input": list(inputs.shape[1:]), "params": weights}
    try:
        layers = prunable_layers(model)
        share = sum(layer.weight.numel() for layer in layers.values()) / weights
        yield {"prunable_share": round(share, 4)}
    except PrunebenchError:
        pass  # every pattern says it
    for pattern in PATTERNS:
        yield {pattern: outcome(model, inputs, pattern)}


def in_a_child(library: str, name: str, cpu: int, gib: int) -> dict[str, Any]:
    """Return the lines of a network that a forked process computes within limits."""
    reader, writer = os.pipe()
    child = os.fork()  # of a process that has imported everything, and started no threads
    if child == 0:
        os.close(reader)
        resource.setrlimit(resource.RLIMIT_CPU, (cpu, cpu + 5))
        resource.setrlimit(resource.RLIMIT_AS, (gib * 2**30,) * 2)
        with os.fdopen(writer, "w") as out:
            for line in lines(library, name):
                print(json.dumps(line), file=out, flush=True)
        os._exit(0)
    os.close(writer)
    found: dict[str, Any] = {}
    with os.fdopen(reader) as given:
        for line in given:
            found |= json.loads(line)
    _, status = os.waitpid(child, 0)
    if status:
        why = f"over {cpu} s of processor time" if os.WIFSIGNALED(status) else "the process failed"
        if "input" not in found:
            found["does not run"] = why
        else:
            found |= {p: {"outcome": "limit", "says": why} for p in PATTERNS if p not in found}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cpu", type=int, default=240, help="seconds of one network")
    parser.add_argument("--memory", type=int, default=8, help="GiB of address space of one network")
    parser.add_argument("--modules", nargs="*", help="of these alone, also where they have a line")
    given = parser.parse_args()
    torch.set_num_threads(1)
    done = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    for place, names in modules().items():
        if place not in given.modules if given.modules else place in done:
            continue
        library = place.partition("/")[0]
        name = smallest(library, names)
        done[place] = {"network": name, **in_a_child(library, name, given.cpu, given.memory)}
        RESULTS.write_text(json.dumps(done, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        said = {key: value["outcome"] for key, value in done[place].items() if key in PATTERNS}
        print(place, name, said or done[place].get("does not run"), file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
