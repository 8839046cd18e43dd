"""What a compression refuses before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import prunebench
from prunebench.errors import PrunebenchError


def test_a_tolerance_that_no_test_of_samples_bounds_is_refused_before_training(
    tmp_path: Path,
) -> None:
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(900, 6, generator=draw)
    values = 10 * features[:, :2].sum(1)  # squared errors are above 1
    data = {
        split: (features[part].numpy(), values[part].numpy())
        for split, part in (
            ("train", slice(0, 100)), ("val", slice(100, 600)), ("test", slice(600, 900)),
        )
    }  # fmt: skip
    network = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 1))
    with pytest.raises(PrunebenchError, match=r"kind of task regression .* give a budget instead"):
        prunebench.compress(
            network, data, tolerance=5.0, kind="regression", output=tmp_path / "small",
            cache=tmp_path / "data",
        )  # fmt: skip
    assert not list(tmp_path.rglob("record.json"))
