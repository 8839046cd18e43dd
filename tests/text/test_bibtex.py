"""One BibTeX entry, and nothing that TeX would obey."""

from __future__ import annotations

import pytest

from prunebench.text.bibtex import key_of

ENTRY = "@inproceedings{DBLP:conf/nips/TanakaKYG20,\n title = {Pruning {N}etworks}\n}"


@pytest.mark.parametrize(
    ("entry", "key"),
    [
        (ENTRY, "DBLP:conf/nips/TanakaKYG20"),
        ('@misc{a2020, author = {M\\"{u}ller and \\c{C}elik and Stra\\ss e \\& Co}}', "a2020"),
    ],
)
def test_an_entry_has_a_key(entry: str, key: str) -> None:
    assert key_of(f"\n{entry}\n") == key


@pytest.mark.parametrize(
    "entry",
    [
        "", "Tanaka 2020", "@misc{}", "@misc{a, title={b}", "@misc{a, title={b}}}",
        f"{ENTRY}\n{ENTRY}", "@misc{a, title={\\input{/etc/passwd}}}",
        "@misc{a, title={\\write18{rm}}}", "@misc{a, b={" + "x" * 30_000 + "}}",
    ],
)  # fmt: skip
def test_what_is_none_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="must"):
        key_of(entry)
