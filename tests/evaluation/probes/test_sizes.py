"""Sizes of what was really removed and stored, against the files and counts themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from prunebench.compression.encoding import load_compressed, save_compressed
from prunebench.evaluation.probes.encoded import encoded
from prunebench.evaluation.probes.quantized import quantized
from prunebench.evaluation.probes.shrunk import shrunk
from prunebench.evaluation.stored_network import Subject
from prunebench.pruning.masks import apply
from prunebench.storage.records import DENSE, UNCHANGED, VERIFIED


def without_filters(given: Subject, count: int) -> Subject:
    """The subject with the first ``count`` filters of its first layer pruned, and nothing else."""
    name, weight = next(iter(given.model.named_parameters()))
    mask = torch.ones_like(weight, dtype=torch.bool)
    mask[:count] = False
    apply(given.model, {name: mask})
    given.masks.update({name: mask})  # type: ignore[attr-defined]
    return given


def test_a_shrunk_network_by_hand(subject: Callable[..., Subject]) -> None:
    given = without_filters(subject(dense=True), 4)
    found = shrunk(given)
    assert found["shrink"] == VERIFIED
    assert 0 <= found["shrink_difference"] <= 1e-4
    first, second = [m for m in given.model.modules() if isinstance(m, torch.nn.Conv2d)][:2]
    # the filters with their biases, and what reads them, unless a bias that passes the activation
    # keeps a constant that the border of the next layer needs
    inputs = second.weight[:, 0].numel()
    gone = sum(p.numel() for p in given.model.parameters()) - found["params_shrunk"]
    each = first.weight[0].numel() + 1 + inputs
    assert gone % each == 0
    assert 0 < gone // each <= 4
    assert 1 < found["shrunk_speedup"] < 2


def test_scattered_weights_leave_nothing_to_remove(subject: Callable[..., Subject]) -> None:
    given = subject(dense=True)
    found = shrunk(given)
    assert (found["shrink"], found["shrunk_speedup"]) == (UNCHANGED, 1)
    assert found["params_shrunk"] == sum(p.numel() for p in given.model.parameters())


@pytest.mark.parametrize("dense", [False, True])
def test_bytes_are_those_of_the_file(
    subject: Callable[..., Subject], tmp_path: Path, dense: bool
) -> None:
    given = subject(dense=dense)
    found = encoded(given)
    network = given.smallest.model
    for half, column in ((False, "bytes_compressed"), (True, "bytes_compressed_half")):
        path = tmp_path / column
        save_compressed(network, path, half=half)
        # without the masks pruned weights may be −0, which costs a little
        assert found[column] == pytest.approx(path.stat().st_size, rel=0.02)
    state = load_compressed(tmp_path / "bytes_compressed")
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert (
        found["bytes_compressed_half"] < found["bytes_compressed"] <= 1.01 * found["bytes_encoded"]
    )


def test_eight_bits_err_little_more_and_weigh_a_quarter(subject: Callable[..., Subject]) -> None:
    given = subject(dense=True)
    labels = _predicted(given)
    own = replace(given, test_targets=labels)
    found = quantized(own)
    # labels are the network's own: the error is the share of predictions that 8 bits change
    assert found["quantized_error"] <= 0.15
    assert 2.5 < found["bytes_onnx"] / found["bytes_quantized"] < 5


def _predicted(given: Subject) -> torch.Tensor:
    with torch.inference_mode():
        logits = given.model(given.normalize(given.test_inputs))
    assert np.unique(logits.argmax(1).numpy()).size > 1, DENSE
    return logits.argmax(1)
