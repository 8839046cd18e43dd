"""Published results stand beside one's own numbers and change none of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from prunebench.errors import PrunebenchError
from prunebench.statistics import bands, score, score_subsets, under_trained
from prunebench.statistics.best_methods import best_on_validation
from prunebench.statistics.counted_cells import paired_difference
from prunebench.statistics.published_results import origin, others, own, read_all
from prunebench.storage.layout import Layout
from tests.statistics.conftest import Points, table

HEAD = "task,regime,model,method,family,seed,sparsity,status,test_error,source,source_file"
END = ",x.csv,00,error-share"


def theirs(points: Points, source: str = "P", **fixed: str) -> pd.DataFrame:
    """Published rows, as ``read_all`` gives them."""
    made = table(points, **fixed).assign(published=source, val_error=np.nan)
    made["family"] = np.where(made["method"] == "dense", "dense", "unknown")
    return made.assign(method=made["method"] + f" ({source})")


def both(small: pd.DataFrame, *published: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([small.assign(published=None), *published], ignore_index=True)


REPLICATED: Points = {
    "dense": {(0, 0.0): 0.30, (1, 0.0): 0.34},
    "x": {(0, 0.5): 0.25, (1, 0.5): 0.27, (0, 0.75): 0.20, (1, 0.75): 0.26},
}


def test_paired_with_its_own_dense_by_hand(small: pd.DataFrame) -> None:
    cells = both(small, theirs(REPLICATED))
    row = score(cells, draws=200).set_index("method").loc["x (P)"]
    # seed 0: −5 and −10, seed 1: −7 and −8, over one octave
    assert row["score"] == pytest.approx(-7.5)
    assert row["low"] <= -7.5 <= row["high"]
    assert (row["wins"], row["ties"], row["losses"], row["missing"]) == (4, 0, 0, 0)
    assert row["against_baseline"] == "cannot be significant with 2 seeds, exploratory"
    assert row["published"] == "P"
    assert not row["primary"]
    # the seed's own dense, not that of what was run here
    made = paired_difference(cells).set_index(["method", "seed", "sparsity"])["difference"]
    assert made[("x (P)", 1, 0.5)] == pytest.approx(-7)


def test_a_published_table_alone_gives_the_same_as_beside_others(small: pd.DataFrame) -> None:
    alone = theirs(REPLICATED).assign(published=None)
    alone["method"] = alone["method"].str.removesuffix(" (P)")
    wanted = score(alone, primary=["x"]).set_index("method").loc["x"]
    row = score(both(small, theirs(REPLICATED))).set_index("method").loc["x (P)"]
    for column in ("score", "low", "high", "p_baseline", "wins"):
        assert row[column] == wanted[column], column


def test_without_replicates_a_difference_and_no_test(small: pd.DataFrame) -> None:
    cells = both(small, theirs({"dense": {(0, 0.0): 0.3}, "x": {(0, 0.5): 0.25, (0, 0.75): 0.2}}))
    row = score(cells).set_index("method").loc["x (P)"]
    assert row["score"] == pytest.approx(-7.5)
    assert row[["low", "high", "p_baseline", "p_reference"]].isna().all()
    assert row["against_baseline"] == "no test: published without replicates"
    assert row["verdict"] == "not judged"


def test_seeds_without_their_dense_are_averaged(small: pd.DataFrame) -> None:
    points: Points = {"dense": {(0, 0.0): 0.3}, "x": {(s, 0.5): 0.2 + s / 10 for s in (0, 1, 2)}}
    cells = both(small, theirs(points))
    row = score(cells).set_index("method").loc["x (P)"]
    assert row["score"] == pytest.approx(0)
    assert np.isnan(row["low"])
    assert row["cells"] == 3
    band = bands(paired_difference(cells), ["difference", "test_error"]).set_index("method")
    assert band.loc["x (P)", "difference_mean"] == pytest.approx(0)
    assert np.isnan(band.loc["x (P)", "difference_low"])  # no interval of an unpaired difference
    assert band.loc["x (P)", "test_error_low"] < 0.3  # but of the error itself
    assert band.loc["x (P)", "published"] == "P"


def test_without_a_dense_result_there_is_no_score(small: pd.DataFrame) -> None:
    cells = both(small, theirs({"x": {(0, 0.5): 0.25}}), theirs({"y": {(0, 0.5): 0.2}}, "Q"))
    found = score(cells).set_index("method")
    assert found.loc[["x (P)", "y (Q)"], "score"].isna().all()
    assert set(found.loc[["x (P)", "y (Q)"], "against_baseline"]) == {"no dense result of its own"}
    assert paired_difference(cells).loc[lambda t: t["method"] == "x (P)", "difference"].isna().all()


def test_a_lost_cell_leaves_the_mean(small: pd.DataFrame) -> None:
    rows = theirs(REPLICATED).assign(classes=10)
    lost = (rows["method"] == "x (P)") & (rows["sparsity"] == 0.75)
    rows.loc[lost, ["status", "test_error"]] = ["failed", np.nan]
    row = score(both(small.assign(classes=2), rows)).set_index("method").loc["x (P)"]
    # −5 and −7 at the sparsity that is left
    assert row["score"] == pytest.approx(-6)
    assert (row["failed"], row["collapsed"]) == (2, 1)
    assert row["failed"] == 2


def statistics_of(cells: pd.DataFrame) -> list[pd.DataFrame]:
    subsets = score_subsets(cells, draws=50, keys=[("all", "all", "all"), ("t", "r", "m")])
    best = best_on_validation(cells, ["regime"])
    return [*subsets.values(), paired_difference(cells), bands(cells, ["test_error"]), best]


@pytest.fixture
def alone(small: pd.DataFrame) -> list[pd.DataFrame]:
    """The statistics of what was run here, with nothing beside it."""
    return statistics_of(small.assign(published=None))


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_nothing_published_changes_what_was_run_here(
    small: pd.DataFrame, alone: list[pd.DataFrame], data: st.DataObject
) -> None:
    """In the same setting or another, with the same seeds or not."""
    shares = st.integers(0, 100).map(lambda n: n / 100)
    names = st.lists(st.sampled_from(["dense", "a", "random"]), min_size=1, unique=True)
    points: Points = {
        method: {
            (data.draw(st.integers(0, 3)), 0.0 if method == "dense" else k): data.draw(shares)
            for k in (0.25, 0.5, 0.9375)
        }
        for method in data.draw(names)
    }  # fmt: skip
    setting = data.draw(
        st.fixed_dictionaries({"task": st.sampled_from("tu"), "model": st.sampled_from("mn")})
    )
    cells = both(small, theirs(points, **setting))
    for made, wanted in zip(statistics_of(cells), alone, strict=True):
        columns = [column for column in wanted.columns if column != "published"]
        mine = own(made)[columns].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, wanted[columns], check_dtype=False)
    assert not under_trained(cells)[origin(cells) != ""].any()


def test_a_published_dense_result_alone_is_nothing_to_show(small: pd.DataFrame) -> None:
    cells = both(small, theirs({"dense": {(0, 0.0): 0.3}}, task="imagenet"))
    assert {key[0] for key in score_subsets(cells)} == {"all", "t"}
    assert score(cells)["method"].tolist() == score(small)["method"].tolist()


def test_a_subset_of_published_settings_alone(small: pd.DataFrame) -> None:
    cells = both(small, theirs(REPLICATED, task="imagenet"))
    found = score_subsets(cells)
    assert found["imagenet", "all", "all"]["method"].tolist() == ["x (P)"]
    assert "x (P)" not in set(found["t", "all", "all"]["method"])
    assert next(iter(found)) == ("all", "all", "all")


# ---------------------------------------------------------------------------------- files


def put(folder: Path, small: pd.DataFrame, *lines: str, head: str = HEAD) -> Layout:
    layout = Layout(folder)
    layout.published.mkdir(parents=True, exist_ok=True)
    small.to_csv(layout.cells_csv, index=False)
    text = "\n".join([f"{head},source_sha256,source_units", *lines])
    (layout.published / "p.csv").write_text(text, encoding="utf-8")
    return layout


def test_read_beside_the_own_cells(tmp_path: Path, small: pd.DataFrame) -> None:
    layout = put(tmp_path, small, f"t,r,m,None,unknown,0,0.5,ok,0.2,P 1{END}")
    cells = read_all(layout)
    assert [(name, rows["method"].tolist()) for name, rows in others(cells)] == [
        ("P 1", ["None (P 1)"])
    ]
    assert cells["experiment"].nunique() == 1
    (layout.published / "p.csv").unlink()
    pd.testing.assert_frame_equal(
        read_all(layout), own(cells)[read_all(layout).columns], check_dtype=False
    )


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("t,r,m,x,unknown,0,0.5,ok,2,P", "p.csv: test_error must be a fraction"),
        ("t,r,m,x,unknown,0,0.5,ok,0.2,", "source must be one name"),
        ("t,r,m,x,unknown,0,0.5,okay,0.2,P", "unknown status"),
    ],
)
def test_a_damaged_file(tmp_path: Path, small: pd.DataFrame, line: str, says: str) -> None:
    with pytest.raises(PrunebenchError, match=says):
        read_all(put(tmp_path, small, f"{line}{END}"))


def test_a_file_that_was_copied_there(tmp_path: Path, small: pd.DataFrame) -> None:
    layout = put(tmp_path, small)
    small.to_csv(layout.published / "p.csv", index=False)
    with pytest.raises(PrunebenchError, match=r"lacks the column.*source.*import the results"):
        read_all(layout)


def test_dense_runs_of_other_seeds_are_compared_without_pairs_as_welch_has_it(
    small: pd.DataFrame,
) -> None:
    generator = np.random.default_rng(3)
    dense, pruned = generator.normal(0.3, 0.02, 5), generator.normal(0.2, 0.01, 4)
    points: Points = {
        "dense": {(100 + i, 0.0): error for i, error in enumerate(dense)},
        "x": {(i, 0.5): error for i, error in enumerate(pruned)},
    }
    row = score(both(small, theirs(points))).set_index("method").loc["x (P)"]
    wanted = stats.ttest_ind(pruned, dense, equal_var=False)
    assert row["score"] == pytest.approx(100 * (pruned.mean() - dense.mean()))
    assert row["p_baseline"] == pytest.approx(wanted.pvalue)
    ends = wanted.confidence_interval()
    # a bootstrap, stretched to the width of Student's t
    assert row["low"] == pytest.approx(100 * ends.low, abs=0.8)
    assert row["high"] == pytest.approx(100 * ends.high, abs=0.8)
    assert row["verdict"] == "better"
    assert row["missing"] == 0


def test_what_a_link_leads_to_elsewhere_is_no_published_result(
    tmp_path: Path, small: pd.DataFrame
) -> None:
    layout = put(tmp_path / "x", small)
    theirs = tmp_path / "private.csv"
    (layout.published / "p.csv").rename(theirs)
    (layout.published / "p.csv").symlink_to(theirs)
    with pytest.raises(PrunebenchError, match=r"p\.csv leads out of .*x: .*remove the link"):
        read_all(layout)
    (layout.published / "p.csv").unlink()
    os.mkfifo(layout.published / "p.csv")
    with pytest.raises(PrunebenchError, match=r"p\.csv is no plain file"):
        read_all(layout)
