"""Tables as Markdown and LaTeX: escaped, and as wide as their page."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from prunebench.text import markup


def test_hostile_names_are_escaped() -> None:
    name = r"50%_a&b$x^{y}~\z#|<b>[1]"
    table = markup.PrintedTable(name, name, ["method", "x"], [[name, "1"]])
    text = markup.latex(table)
    assert r"50\%\_a\&b\$x\textasciicircum{}\{y\}\textasciitilde{}\textbackslash{}z\#" in text
    line = markup.markdown(table).splitlines()[-1]
    assert line.replace(r"\|", "").count("|") == 3
    assert r"\<b\>" in line
    assert markup.markdown_text("test_resnet _x_ [a](b)") == r"test_resnet \_x\_ [a\](b)"


def test_many_columns_stand_below_each_other_and_many_rows_break() -> None:
    wide = markup.PrintedTable(
        "t", "c", ["method", *map(str, range(20))], [["a", *["1" * 9] * 20]], over="s"
    )
    text = markup.latex(wide)
    assert text.count(r"\begin{tabular}{@{}lrrrrrrr@{}}") == 2
    assert text.count(r"\begin{tabular}{@{}lrrrrrr@{}}") == 1
    assert text.count("method &") == text.count("a & 11") == 3
    assert r"\multicolumn{7}{c}{s}" in text
    long = markup.latex(markup.PrintedTable("t", "c", ["m", "x"], [["a", "1"]] * (markup.ROWS + 1)))
    assert r"\begin{longtable}" in long
    narrow = markup.latex(markup.PrintedTable("t", "c", ["m", "x"], [["a", "1"]]))
    assert r"\begin{table}[tb]" in narrow
    assert r"\begin{table*}" in text


@given(st.text(max_size=40))
def test_latex_escapes_every_sign_that_it_reads(text: str) -> None:
    made = markup.latex_text(text)
    plain = re.sub(r"\\[a-zA-Z]+|\\[&%$#_{}]|\{\}|\{[\[\]]\}|\$[^$]*\$", "", made)
    assert not set(plain) & set("&%$#_^<>|\n[]")
    assert "%" not in plain
