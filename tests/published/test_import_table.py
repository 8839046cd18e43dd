"""An import gives the right numbers, or refuses in one line."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas as pd
import pytest

from prunebench.errors import PrunebenchError
from prunebench.published.column_mapping import ColumnMapping, read_mapping
from prunebench.published.convert import convert
from prunebench.published.import_table import NEW, REPLACED, SAME, import_results, slug
from prunebench.statistics.published_results import published_manifest, read_all
from prunebench.storage.layout import Layout
from tests.published.conftest import MAPPED, PAPER, REPLICATED, Save


def mapped(**changes: object) -> ColumnMapping:
    return ColumnMapping.model_validate({**MAPPED, **changes})


def test_a_table_of_a_paper(save: Save, layout: Layout) -> None:
    done = import_results(save(PAPER), "Tanaka 2020", layout, mapped())
    assert done.outcome == NEW
    assert done.path == layout.published / "tanaka-2020.csv"
    rows = list(csv.DictReader(io.StringIO(done.path.read_text())))
    shown = [(r["method"], r["family"], r["sparsity"], r["test_error"]) for r in rows]
    assert shown == [
        ("dense", "dense", "0.0", "0.04"),
        ("SynFlow", "unknown", "0.5", "0.045"),
        ("SynFlow", "unknown", "0.9", "0.05"),
        ("SynFlow", "unknown", "0.96875", "0.1"),
    ]
    assert [r["compression_ratio"] for r in rows] == ["1.0", "2.0", "10.0", "32.0"]
    assert {r["source"] for r in rows} == {"Tanaka 2020"}
    assert {len(r["source_sha256"]) for r in rows} == {64}
    assert {r["source_units"] for r in rows} == {"accuracy-percent, compression-ratio"}
    assert done.notes == ["not taken: 'venue'", "t/r/m: one seed, so differences without interval"]


def test_rows_beside_which_nothing_was_run_are_told_in_one_note(save: Save, layout: Layout) -> None:
    mine = pd.DataFrame([("digits", "clean", "resnet20"), ("digits", "clean", "vgg")])
    mine.columns = ["task", "regime", "model"]
    others = {"method": "dense", "seed": 0, "sparsity": 0.0, "test_error": 0.1, "status": "ok"}
    mine.assign(**others, experiment="x", family="dense").to_csv(layout.cells_csv, index=False)
    theirs = "task,regime,model,method,sparsity,test_error\n"
    theirs += "digit,clean,resnet20,a,0.5,0.1\ndigit,clean,wrn,a,0.5,0.1\n"
    done = import_results(save(theirs), "A", layout, mapped(constants={}, columns={}, units=[]))
    assert done.notes[-1] == (
        "not run here, so beside none of your results: task digit (did you mean 'digits'?); "
        "model wrn (known: resnet20, vgg)"
    )


def test_again_and_another_file(save: Save, layout: Layout) -> None:
    def run(text: str, name: str = "X 1", replace: bool = False) -> str:
        return import_results(save(text), name, layout, mapped(), replace).outcome

    assert run(PAPER) == NEW
    before = (layout.published / "x-1.csv").stat().st_mtime_ns
    assert run(PAPER) == SAME
    assert (layout.published / "x-1.csv").stat().st_mtime_ns == before  # nothing runs again
    other = PAPER.replace(",90,", ",91,")
    with pytest.raises(PrunebenchError, match=r"imported from another file.*--replace"):
        run(other)
    assert run(other, replace=True) == REPLACED
    with pytest.raises(PrunebenchError, match="holds 'X 1': choose a name"):
        run(PAPER, "x-1", replace=True)
    # the same file with another mapping mends the first
    done = import_results(save(other), "X 1", layout, mapped(values={"method": {"SynFlow": "S"}}))
    assert done.outcome == REPLACED
    (layout.published / "x-1.csv").write_bytes(b"\0")
    with pytest.raises(PrunebenchError, match="--replace"):
        run(PAPER)
    assert run(PAPER, replace=True) == REPLACED


ENTRY = "@article{tanaka20, title = {Pruning}, year = {2020}}"


def test_the_entry_of_the_paper_lies_beside_and_goes_with_it(save: Save, layout: Layout) -> None:
    entry = layout.published / "x-1.bib"
    import_results(save(PAPER), "X 1", layout, mapped(bibtex=f"\n{ENTRY}\n"))
    assert entry.read_text() == f"{ENTRY}\n"
    assert not published_manifest(layout.published / "x-1.csv").damaged(thorough=True)
    import_results(save(PAPER), "X 1", layout, mapped())
    assert not entry.exists()
    with pytest.raises(ValueError, match="must be one BibTeX entry"):
        mapped(bibtex="Tanaka 2020")


def test_other_scores_than_errors_are_named(save: Save, layout: Layout) -> None:
    text = "task,regime,model,method,sparsity,bleu\nt,r,m,dense,0,40\nt,r,m,a,0.5,30\n"
    mapping = ColumnMapping(columns={"test_error": "bleu"}, units=["bleu"])
    done = import_results(save(text), "X", layout, mapping)
    assert done.path.name == "x.csv"
    cells = read_all(layout)
    theirs = cells[cells["published"].notna()]
    assert list(theirs["method"]) == ["dense (X, 1 − BLEU)", "a (X, 1 − BLEU)"]
    assert list(theirs["test_error"]) == pytest.approx([0.6, 0.7])
    assert import_results(save(text), "X", layout, mapping).outcome == SAME


def test_a_digit_that_was_changed_since_is_noticed(save: Save, layout: Layout) -> None:
    done = import_results(save(PAPER), "theirs", layout, ColumnMapping(**MAPPED))
    read_all(layout)
    done.path.write_text(done.path.read_text().replace("0.05", "0.04", 1))
    with pytest.raises(PrunebenchError, match="was changed since it was imported"):
        read_all(layout)
    import_results(save(PAPER), "theirs", layout, ColumnMapping(**MAPPED))
    read_all(layout)


def test_names_of_files() -> None:
    assert slug("Tanaka et al. (2020)") == "tanaka-et-al-2020"
    names = ["Müller", "Muller", "田中", "山田", "..", "/etc/passwd", "a" * 99]
    made = [slug(name) for name in names]
    assert len(set(made)) == len(names)
    assert all(Path(text).name == text and not text.startswith(".") for text in made)


def test_where_it_goes(save: Save, layout: Layout) -> None:
    nowhere = Layout(layout.root.with_name("f"))
    with pytest.raises(PrunebenchError, match="f is no experiment; there is e: say --into"):
        import_results(save(PAPER), "X", nowhere, mapped())
    assert not nowhere.root.exists()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("SynFlow,10,", "SynFlow,2,", "lines 3 and 4 are the same cell.*--column seed=NAME"),
        ("SynFlow,10,", "SynFlow,10%,", r"line 4, sparsity: '10%' is no number: take the sign"),
        (",95,", ",95 ± 1,", "give the mean alone"),
        (",95,", ',"95,1",', "if the comma is a decimal point, write points"),
        (",95,", ",nan,", "line 4, test_error: 'nan' is no number"),
        (",95,", ",1e999,", "is no number"),
        (",95,", ",,", "line 4, test_error: is empty; leave the row out"),
        (",95,", ",950,", "line 4, test_error: '?950'? is no accuracy-percent"),
        ("SynFlow,10,", "SynFlow,0.1,", "line 4, sparsity: '?0.1'? is no compression-ratio"),
        ("SynFlow,10,", "SynFlow,,", "line 4, sparsity: is empty; is it the dense"),
        ("SynFlow,10,", "=HYPERLINK(1),10,", "line 4, method: '=HYPERLINK.*formula"),
        ("SynFlow,10,", "+cmd|' /C calc'!A0,10,", "line 4, method.*formula"),
        ("SynFlow,10,", "@SUM(A1),10,", "line 4, method.*formula"),
        ("SynFlow,10,", "-2+3,10,", "line 4, method.*formula"),
        ("SynFlow,10,", "a;=1+1,10,", "line 4, method.*formula"),
        ("SynFlow,10,", "＝1,10,", "line 4, method.*formula"),
        ("SynFlow,10,", "a\u202eb,10,", "line 4, method.*cannot be seen"),
        ("SynFlow,10,", "dense,10,", "line 4, method: 'dense' is not what --dense names"),
        ("SynFlow,10,", ",10,", "line 4, method: is empty"),
        ("Full,,", "Full,2,", "line 2, sparsity: '0.5' is not 0"),
        ("SynFlow,10,95,NeurIPS", "SynFlow,10,95", "line 4 has 3 fields, the header has 4"),
        ("Algorithm,", "algorithm,", "no column 'Algorithm'; did you mean 'algorithm'"),
        ("venue", "Algorithm", "two columns are named 'Algorithm'"),
        ("venue", "", "column 4 has no name"),
        ("SynFlow", '"SynFlow', "is no CSV"),
    ],
)
def test_what_cannot_be_right(save: Save, old: str, new: str, says: str) -> None:
    with pytest.raises(PrunebenchError, match=says) as caught:
        convert(save(PAPER.replace(old, new, 1)), mapped())
    assert "\n" not in str(caught.value)
    assert "theirs.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("method,sparsity,test_error\n", "no rows"),
        ("a;b;c\n1;2;3\n", "lacks task, .*it has 'a', 'b', 'c'"),
        ("method,sparsity\nx,0.5\n", "lacks task, regime, model, test_error .it has 'method'"),
        ("a,b\n\0,1\n", "zero byte"),
    ],
)
def test_no_table(save: Save, text: str, says: str) -> None:
    with pytest.raises(PrunebenchError, match=says):
        convert(save(text), ColumnMapping())


def test_no_file(tmp_path: Path) -> None:
    (tmp_path / "bad.csv").write_bytes(b"\xff\xfe")
    for name, says in (
        ("none.csv", "No such file"),
        (".", "is a folder without"),
        ("bad.csv", "is empty"),
    ):
        with pytest.raises(PrunebenchError, match=says):
            convert(tmp_path / name, ColumnMapping())


def test_mixed_up_units_that_are_possible_numbers(save: Save) -> None:
    head = "task,regime,model,method,sparsity,test_error\n"
    rows = "t,r,m,dense,0,{}\nt,r,m,a,{},{}\n"
    swapped = save(head + rows.format(0.95, 0.9, 0.4))
    with pytest.raises(PrunebenchError, match="are these accuracies"):
        convert(swapped, ColumnMapping())
    cells, _ = convert(swapped, ColumnMapping(units=["error-share"]))  # the user says so
    assert cells["test_error"].tolist() == [0.95, 0.4]
    with pytest.raises(PrunebenchError, match=r"no number is above 1.*accuracy-share"):
        convert(save(head.replace("test_error", "y") + rows.format(0.95, 0.9, 0.4)),
                ColumnMapping(columns={"test_error": "y"}, units=["accuracy-percent"]))  # fmt: skip
    with pytest.raises(PrunebenchError, match=r"no number is above 1.*sparsity-share"):
        convert(save(head + rows.format(0.95, 0.9, 0.4)),
                ColumnMapping(units=["error-share", "sparsity-percent"]))  # fmt: skip
    with pytest.raises(PrunebenchError, match="speaks of accuracy, but is to be read as error"):
        convert(save(PAPER), mapped(units=["compression-ratio"]))
    with pytest.raises(
        PrunebenchError, match=r"speaks of compression.*--unit, such as compression"
    ):
        convert(save(PAPER), mapped(units=["accuracy-percent"]))


INDEXED = """,seed,strategy,compression,post_acc1
0,42,GlobalMag,1,0.8912
1,42,GlobalMag,4,0.8850
2,42,Random,1,0.8912
5,42,Random,4,0.7861
"""
OF_PANDAS: dict[str, object] = {
    "columns": {"method": "strategy", "sparsity": "compression", "test_error": "post_acc1"},
    "units": ["accuracy-share", "compression-ratio"], "dense": "dense",
}  # fmt: skip


def test_the_index_of_pandas_is_left_out_and_said(save: Save) -> None:
    plain = "\n".join(line.partition(",")[2] for line in INDEXED.splitlines())
    wanted, no_notes = convert(save(plain), mapped(**OF_PANDAS))
    cells, notes = convert(save(INDEXED), mapped(**OF_PANDAS))
    pd.testing.assert_frame_equal(cells, wanted)
    assert (notes, no_notes) == (
        ["the first column has no name and numbers the rows: not taken"],
        [],
    )
    for old, new in (("\n5,", "\n1,"), ("\n5,", "\nfive,"), ("\n5,", "\n,")):
        with pytest.raises(PrunebenchError, match="column 1 has no name: give it one, or leave it"):
            convert(save(INDEXED.replace(old, new)), mapped(**OF_PANDAS))


def test_rows_at_compression_1_can_be_those_of_the_dense_network(
    save: Save, layout: Layout
) -> None:
    done = import_results(save(INDEXED), "B", layout, mapped(**OF_PANDAS))
    assert any("--dense-at-zero" in note for note in done.notes)
    done = import_results(save(INDEXED), "B", layout, mapped(**OF_PANDAS, dense_at_zero=True))
    assert not any("no dense result" in note for note in done.notes)
    shown = done.cells[["method", "family", "sparsity", "test_error"]].round(4)
    assert shown.to_numpy().tolist() == [
        ["dense", "dense", 0.0, 0.1088],
        ["GlobalMag", "unknown", 0.75, 0.115],
        ["Random", "unknown", 0.75, 0.2139],
    ]
    other = INDEXED.replace("Random,1,0.8912", "Random,1,0.89")
    with pytest.raises(PrunebenchError, match=r"lines 2 and 4 are both the dense network .*differ"):
        convert(save(other), mapped(**OF_PANDAS, dense_at_zero=True))


def test_lost_cells_and_seeds(save: Save) -> None:
    text = REPLICATED.replace("test_error\n", "test_error,status\n")
    text = "\n".join(line + ",ok" * (i > 0) for i, line in enumerate(text.splitlines()))
    lost = text.replace("0.22,ok", ",failed")
    cells, _ = convert(save(lost), ColumnMapping())
    assert cells["status"].tolist() == ["ok"] * 8 + ["failed"]
    for old, new, says in (
        ("0.22,ok", "0.22,lost", "'lost' is no status; known"),
        ("0.30,ok", ",failed", "is not ok: without it nothing can be compared"),
        ("RigL,0,", "RigL,0.5,", "seed: '0.5' is no whole number"),
        ("RigL,0,", "RigL,-1,", "seed: '-1' is no whole number"),
    ):
        with pytest.raises(PrunebenchError, match=says):
            convert(save(text.replace(old, new, 1)), ColumnMapping())


def test_values_are_renamed_and_names_must_fit(save: Save) -> None:
    text = REPLICATED.replace("t,r,m,", "Set 1,r,m,")
    with pytest.raises(PrunebenchError, match="line 2, task: 'Set 1' is no name of an experiment"):
        convert(save(text), ColumnMapping())
    cells, _ = convert(save(text), ColumnMapping(values={"task": {"Set 1": "t"}}))
    assert set(cells["task"]) == {"t"}


# ------------------------------------------------------------------------------- mapping


def test_flags_go_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "map.yaml").write_text(
        "columns: {method: Algo, sparsity: S}\nconstants: {task: t, seed: 3}\n"
        "units: [accuracy-share]\n"
    )
    found = read_mapping(tmp_path / "map.yaml", ["method=Name = x"], ["task=u"], ["error-percent"])
    assert found.columns == {"method": "Name = x", "sparsity": "S"}
    assert found.constants == {"task": "u", "seed": "3"}
    assert found.units == ["error-percent"]


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("column: {}", "map.yaml: column: unknown key; did you mean 'columns'"),
        ("columns: {metod: x}", "no column 'metod' can be imported; did you mean 'method'"),
        ("columns: [x]", "columns: input should be a valid dictionary"),
        ("units: [accuracy]", "unknown unit 'accuracy'; did you mean 'accuracy-"),
        ("units: [error-share, accuracy-share]", "both units of test_error"),
        ("columns: {task: x}\nconstants: {task: y}", "both a column and a constant"),
        ("constants: {task: true}", "constants"),
        ("- x", "map.yaml: a mapping has keys: columns"),
        ("x: [", "not valid YAML"),
        ("constants: {task: {a: b}}", "constants"),
        ("? [a]\n: b", "map.yaml"),
    ],
)
def test_no_mapping(tmp_path: Path, written: str, says: str) -> None:
    (tmp_path / "map.yaml").write_text(written)
    with pytest.raises(PrunebenchError, match=says):
        read_mapping(tmp_path / "map.yaml")


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"columns": ["method"]}, "--column 'method': write --column name=value"),
        ({"columns": ["=x"]}, "write --column name=value"),
        ({"constants": ["task=a", "task=b"]}, "--set task is given twice"),
        ({"units": ["percent"]}, "the flags: units: unknown unit 'percent'"),
    ],
)
def test_no_flags(flags: dict[str, list[str]], says: str) -> None:
    with pytest.raises(PrunebenchError, match=says):
        read_mapping(None, **flags)  # type: ignore[arg-type]
