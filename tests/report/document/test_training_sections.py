"""The first section, the section of lengths, the outcomes and their warnings: words and numbers."""

from __future__ import annotations

import math
import re
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from scipy.stats import trim_mean

from prunebench.experiment.settings import Analysis
from prunebench.report import document as paper
from prunebench.report import reader_warnings
from prunebench.report.document import (
    answers_section,
    first_section,
    length_section,
    sanity_section,
    scores_section,
    two_by_two_section,
)
from prunebench.report.document.elements import Document, Section, TableBlock
from prunebench.report.report_inputs import ReportInputs
from prunebench.statistics.setting_scores import score_settings, seed_scores
from prunebench.statistics.two_by_two import two_by_two
from prunebench.storage.layout import Layout
from tests.messages import unsaid
from tests.report.made_up import synthetic


def inputs_of(cells: pd.DataFrame) -> ReportInputs:
    return ReportInputs(cells.reset_index(drop=True), Layout(Path("nowhere")), [], None, "")


def text_of(section: Section) -> str:
    return paper.markdown(Document("", "", [section]))


@pytest.fixture(scope="module")
def inputs(judged: pd.DataFrame) -> ReportInputs:
    return inputs_of(judged)


def test_the_headline_stands_in_the_table(inputs: ReportInputs, judged: pd.DataFrame) -> None:
    section = two_by_two_section.section(inputs)
    table = next(block for block in section.blocks if isinstance(block, TableBlock))
    assert list(table.columns)[2:5] == ["Gain, trained", "Gain, stopped", "Interaction"]
    [row] = [row for row in table.rows if row[:2] == ["noisy-40", "magnitude-10x"]]
    found = two_by_two(judged, ["magnitude-10x"]).set_index("scope")
    wanted = found.loc["digits/noisy-40/seed-cnn"]
    for place, name in ((2, "gain_trained"), (3, "gain_stopped"), (4, "interaction")):
        shown = [float(n) for n in re.findall(r"[+-]?[\d.]+", str(row[place]).replace("−", "-"))]
        ends = [wanted[name], wanted[f"{name}_low"], wanted[f"{name}_high"]]
        assert shown == pytest.approx(ends, abs=0.051)
    assert f"at {wanted['compression_ratio']:.3g}×" in str(row[5])


def test_a_dense_network_that_goes_on_and_loses_is_told(judged: pd.DataFrame) -> None:
    told = "trained on from its trained weights, is worse as well where it is stopped"
    noisy = judged[judged["regime"] == "noisy-40"]
    long = noisy["method"] == "dense-long"
    worse = noisy.assign(stopped_test_error=noisy["stopped_test_error"].mask(long, 0.6))
    for cells, said in ((worse, True), (noisy, False)):
        text = text_of(two_by_two_section.section(inputs_of(cells)))
        assert (told in text) == said


def test_a_largest_gain_stands_beside_that_of_training_longer(judged: pd.DataFrame) -> None:
    said = text_of(first_section.section(inputs_of(judged)))
    regime = re.search(r"points of test error \([^,]*, ([^)]*)\); trained as long", said).group(1)
    controls = inputs_of(judged).table.controls_of_kind("dense-long")
    found = two_by_two(judged, controls).set_index("scope")
    wanted = found.loc[[f"digits/{regime}/seed-cnn"], "gain_trained"].max()
    [shown, *_] = re.findall(r"dense network itself gains ([−+\d.]+) \[", said)
    assert float(shown.replace("−", "-")) == pytest.approx(wanted, abs=0.051)
    alone = text_of(first_section.section(inputs_of(judged[~judged["method"].isin(controls)])))
    assert "points of test error (" in alone
    assert "trained as long" not in alone


@pytest.mark.parametrize(
    ("gains", "said"),
    [
        ({"a": (2.0, 1.2, 2.8), "b": (5.0, -9.0, 19.0)},
         "1 of 2 pruned networks is shown to generalize better than the dense network: its gain is"
         " +2.0 [+1.2, +2.8] points of test error (a, clean)."),
        ({"a": (2.0, 1.2, 2.8), "b": (3.0, 2.2, 3.8), "c": (5.0, -9.0, 19.0)},
         "2 of 3 pruned networks are shown to generalize better than the dense network: the largest"
         " of their gains is +3.0 [+2.2, +3.8] points of test error (b, clean)."),
        ({"a": (-2.0, -2.8, -1.2), "b": (-0.4, -0.6, 0.0)},
         "none of 2 pruned networks is shown to generalize better than the dense network: the best"
         " has a gain of −0.4 [−0.6, 0.0] points of test error (b, clean)."),
        ({"a": (-2.0, -2.8, -1.2)},
         "the one pruned network is not shown to generalize better than the dense network: its gain"
         " is −2.0 [−2.8, −1.2] points of test error (a, clean)."),
        ({"a": (0.4, -0.6, 1.4), "b": (0.7, -0.7, 2.9), "c": (2.2, math.nan, math.nan)},
         "none of 3 pruned networks is shown to generalize better than the dense network: of the 2"
         " with the most pairs of seeds the best has a gain of +0.7 [−0.7, +2.9] points of test"
         " error (b, clean)."),
        ({"a3": (0.4, -0.6, 1.4), "b2": (0.7, -7.0, 9.0)},
         "none of 2 pruned networks is shown to generalize better than the dense network: the one"
         " with the most pairs of seeds has a gain of +0.4 [−0.6, +1.4] points of test error (a3,"
         " clean)."),
        ({"a": (0.4, math.nan, math.nan), "b": (2.2, math.nan, math.nan)},
         "none of 2 pruned networks is shown to generalize better than the dense network; for want"
         " of pairs of seeds no gain has an interval. None is called the best."),
    ],
)  # fmt: skip
def test_the_gain_that_is_named_is_one_that_is_shown(
    gains: dict[str, tuple[float, float, float]], said: str
) -> None:
    found = pd.DataFrame(
        [
            {"scope": "digits/clean/cnn", "task": "digits", "regime": "clean", "model": "cnn",
             "method": method, "compression_ratio": 2.0, "gain_trained": value,
             "gain_trained_low": low, "gain_trained_high": high,
             "gain_trained_p": 0.001 if low > 0 else 0.5,
             "trained_pairs": 1 if math.isnan(low) else int(method[1:] or 9)}
            for method, (value, low, high) in gains.items()
        ]
    )  # fmt: skip
    given = SimpleNamespace(
        two_by_two=found, analysis=Analysis(equivalence=0.5), trained_longer=pd.DataFrame()
    )
    assert first_section._gains(given, "trained") == f"At the end of training {said}"


def test_one_pair_makes_no_best(judged: pd.DataFrame) -> None:
    """A largest gain of a single seed is one draw; it is named with its pair, and not the best."""
    found = two_by_two(judged, ["magnitude-10x", "wanda"])
    found = found[found["scope"] == "digits/clean/seed-cnn"].copy()
    first, second = found["method"]
    lone = found["method"] == first
    found.loc[lone, "gain_trained"] = 50.0
    found.loc[lone, ["gain_trained_low", "gain_trained_high"]] = math.nan
    found.loc[lone, "trained_pairs"] = 1
    said = two_by_two_section._example(found)
    assert said.startswith(f"The best of those with {found['trained_pairs'].max()} pairs, trained:")
    assert f": {second} at " in said
    assert "+50.0 (1 pair)" in str(two_by_two_section._table(found).rows)
    found[["gain_trained_low", "gain_trained_high"]] = math.nan
    said = two_by_two_section._example(found)
    assert said == "None is called the best: for want of pairs no gain, trained, has an interval."


def test_what_was_left_out_is_said_with_its_reason(inputs: ReportInputs) -> None:
    section = two_by_two_section.section(inputs)
    table = [block for block in section.blocks if isinstance(block, TableBlock)][-1]
    rows = {(row[0], row[1]): row[2:] for row in table.rows}
    assert rows["noisy-40", "wanda"] == ["15", "15 under-trained", "0", "–"]
    assert rows["noisy-40", "imp-10x"] == ["1", "1 failed", "1", "1 failed"]


def test_records_of_before_say_what_they_lack(cells: pd.DataFrame) -> None:
    old = inputs_of(cells[cells["model"] == "seed-cnn"])
    said = text_of(two_by_two_section.section(old))
    assert "no column training_outcome" in said
    assert "no column stopped_test_error" in said
    assert "Gain, trained" in said
    assert "Interaction" not in said.replace("interaction", "")
    assert "one length of recovery alone" in text_of(length_section.section(old))
    assert "was not recorded" in text_of(sanity_section.section(old))


def test_without_a_method_there_is_nothing_to_compare(judged: pd.DataFrame) -> None:
    dense = inputs_of(judged[judged["method"] == "dense"])
    assert "no method beside dense" in text_of(two_by_two_section.section(dense))


def test_where_no_training_came_to_its_end_that_is_the_reason(judged: pd.DataFrame) -> None:
    clean = judged[(judged["regime"] == "clean") & (judged["sparsity"] >= 0)].copy()
    clean.loc[clean["method"] != "dense", "training_outcome"] = "under-trained"
    given = inputs_of(clean)
    assert "a training failed or had not come to its end" in text_of(first_section.section(given))
    answers = " ".join(text_of(each) for each in answers_section.sections(given))
    assert "No sparsity can be chosen: at each, half or more of the trainings" in answers
    dense = text_of(first_section.section(inputs_of(clean[clean["method"] == "dense"])))
    assert "There is no pruned network" in dense
    said = " ".join(reader_warnings.of_report(given))
    assert "still fell when training ended; a gain there may" in said
    assert "wrong labels such" not in said


def test_a_gain_that_turns_into_a_loss_is_told(inputs: ReportInputs) -> None:
    said = text_of(length_section.section(inputs))
    assert "1×, 3× and 10×" in said
    [told] = [line for line in said.splitlines() if "magnitude at 16.6×" in line]
    assert re.search(r"\+\d.* at 1× \(under-trained: 3 of 3 seeds\), −\d.* at 10×\.", told)
    steady = inputs_of(inputs.cells[inputs.cells["regime"] == "clean"])
    assert "No gain of more than 0.5 points" in text_of(length_section.section(steady))


def test_lengths_of_controls_alone_say_nothing_of_a_gain(judged: pd.DataFrame) -> None:
    longer = judged.loc[judged["recovery_length"].astype(float) > 1, "base_method"].unique()
    several = judged["base_method"].isin(longer)
    assert 0 < several.sum() < len(judged)
    said = text_of(length_section.section(inputs_of(judged.assign(control=several))))
    assert "do not say whether its gain lasts" in said
    assert "No gain of more than" not in said


def test_outcomes_are_counted_by_method(inputs: ReportInputs) -> None:
    section = sanity_section.section(inputs)
    table = next(block for block in section.blocks if isinstance(block, TableBlock)
                 and "How trainings ended" in block.caption)  # fmt: skip
    titles = list(table.columns)
    [row] = [row for row in table.rows if row[0] == "dense-long"]
    assert row[titles.index("Failed to train")] == "1"
    assert row[titles.index("Failed, % [95 %]")] == "16.7 [0.4, 64.1]"  # 1 of 6, exact


def test_warnings_follow_from_the_columns(inputs: ReportInputs, judged: pd.DataFrame) -> None:
    said = " ".join(reader_warnings.of_report(inputs))
    late = int((judged["training_outcome"] == "under-trained").sum())
    assert f"{late} of {len(judged)} cells are under-trained" in said
    assert "3 of 484 trainings failed, 0.6 % [0.1, 1.8] (imp-10x: 2, dense-long: 1)" in said
    assert "themselves in doubt" not in said
    counts = reader_warnings.counts(judged)
    assert (counts["under-trained"], counts["failed-to-train"]) == (late, 3)


def test_a_baseline_that_did_not_train_comes_first(judged: pd.DataFrame) -> None:
    bad = judged.copy()
    dense = (bad["method"] == "dense") & (bad["regime"] == "noisy-40") & (bad["seed"] < 2)
    bad.loc[dense, "training_outcome"] = "failed-to-train"
    said = [s for s in reader_warnings.of_report(inputs_of(bad)) if "baseline" in s]
    assert unsaid(said[0], "2 dense baselines", "digits · noisy-40", "seeds 0, 1") == []
    gate = text_of(sanity_section.section(inputs_of(bad)))
    assert "failed-to-train: 2 of 3" in gate


def test_no_stopped_states_under_noise_is_a_warning(judged: pd.DataFrame) -> None:
    bare = judged.drop(columns=[c for c in judged.columns if c.startswith("stopped_")])
    said = " ".join(reader_warnings.of_report(inputs_of(bare)))
    assert "No states were kept at which early stopping" in said


def test_robust_summaries_need_four_seeds_and_are_those_of_scipy(judged: pd.DataFrame) -> None:
    clean = judged[judged["regime"] == "clean"]
    few = scores_section.section(inputs_of(clean))
    cells = synthetic(seeds=4, broken=False)
    cells = cells[(cells["regime"] == "clean") & (cells["model"] == "seed-cnn")]
    enough = scores_section.section(inputs_of(cells))
    tables = [
        [block for block in section.blocks if isinstance(block, TableBlock)]
        for section in (few, enough)
    ]
    assert [len(each) for each in tables] == [1, 2]
    shown = {str(row[0]): row for row in tables[1][1].rows}
    runs = seed_scores(score_settings(cells, "dense", "random", 10))
    for method, own in runs[runs["method"] != "dense"].groupby("method"):
        values = own["value"].to_numpy()
        assert float(str(shown[method][2]).replace("−", "-")) == pytest.approx(
            trim_mean(values, 0.25), abs=0.00501
        )
        below = [round(100 * float((values < limit).mean())) for limit in (-0.5, 0, 0.5)]
        assert [str(text) for text in shown[method][-3:]] == [f"{share} %" for share in below]
