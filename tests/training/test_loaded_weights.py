"""The name of weights that are loaded: a hash of what they are."""

from __future__ import annotations

import torch

from prunebench.training.loaded_weights import hash_of_tensors


def test_the_hash_of_weights_is_that_of_their_values() -> None:
    one = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor(1)}
    known = hash_of_tensors(one)
    assert hash_of_tensors({"b": torch.tensor(1), "a": one["a"].t().contiguous().t()}) == known
    for other in (
        {**one, "a": one["a"] + 1e-6},
        {**one, "a": one["a"].view(3, 2)},
        {**one, "a": one["a"].double()},
        {"c": one["a"], "b": one["b"]},
    ):
        assert hash_of_tensors(other) != known
