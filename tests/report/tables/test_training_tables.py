"""tables/two-by-two and tables/training-outcomes: files, texts of a cell, families of Holm."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from prunebench.experiment.settings import Analysis
from prunebench.report.tables import training_tables
from prunebench.statistics.two_by_two import two_by_two


def test_files_hold_the_numbers(judged: pd.DataFrame, tmp_path: Path) -> None:
    analysis = Analysis(primary=["magnitude", "wanda"])
    written = training_tables.write(judged, tmp_path, analysis)
    names = {"two-by-two", "training-outcomes"}
    assert {path.name for path in written} == {
        f"{n}.{k}" for n in names for k in ("csv", "md", "tex")
    }
    found = pd.read_csv(tmp_path / "two-by-two.csv")
    noisy = found[found["regime"] == "noisy-40"]
    # the declared methods, and the longer form beside its own; each family adjusted by itself
    assert noisy["method"].tolist() == ["magnitude", "magnitude-10x", "wanda"]
    alone = two_by_two(judged, ["magnitude", "wanda"])
    wanted = alone[(alone["regime"] == "noisy-40") & (alone["method"] == "magnitude")]
    own = noisy[noisy["method"] == "magnitude"]
    assert own["gain_stopped_p"].tolist() == pytest.approx(wanted["gain_stopped_p"].tolist())
    shares = pd.read_csv(tmp_path / "training-outcomes.csv")
    kinds = shares.loc[:, "learned":"unknown"].sum(axis=1)
    assert (kinds == shares["cells"]).all()
    assert "under-trained" in (tmp_path / "training-outcomes.md").read_text(encoding="utf-8")


def test_records_of_before_have_the_trained_half_alone(cells: pd.DataFrame, tmp_path: Path) -> None:
    old = cells[cells["model"] == "seed-cnn"]
    training_tables.write(old, tmp_path, Analysis(primary=["magnitude"]))
    assert not (tmp_path / "training-outcomes.csv").exists()
    text = (tmp_path / "two-by-two.md").read_text(encoding="utf-8")
    assert "gain, trained" in text
    assert "| gain, stopped" not in text


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gain_trained", "−1.2 [−2.5, +0.1]"),
        ("pruned_trained", "20.8 [18.1, 23.4] at 31.5×"),
        ("dense_trained", "34.0 (1 pair)"),
        ("pruned_stopped", "12.0 [11.0, 13.0] at 8×"),
        ("interaction", "–"),
    ],
)
def test_texts_of_a_cell(name: str, said: str) -> None:
    nan = float("nan")
    row = {
        "trained_pairs": 1, "stopped_pairs": 4, "pairs": 1,
        "gain_trained": -1.23, "gain_trained_low": -2.51, "gain_trained_high": 0.06,
        "pruned_trained": 0.208, "pruned_trained_low": 0.181, "pruned_trained_high": 0.234,
        "dense_trained": 0.34, "dense_trained_low": nan, "dense_trained_high": nan,
        "pruned_stopped": 0.12, "pruned_stopped_low": 0.11, "pruned_stopped_high": 0.13,
        "interaction": nan, "interaction_low": nan, "interaction_high": nan,
        "compression_ratio": 31.49, "stopped_compression_ratio": 8.0,
    }  # fmt: skip
    assert training_tables.corner(row, name) == said
