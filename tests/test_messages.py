"""Words that messages lack are found."""

from __future__ import annotations

from tests.messages import unsaid


def test_words_are_looked_for_in_their_order() -> None:
    text = "3 of 4 cells are missing: run it again"
    assert unsaid(text, "3 of 4", "missing", "run") == []
    assert unsaid(text, "4 of 4", "missing") == ["4 of 4"]
    assert unsaid(text, "missing", "3 of 4", "again") == ["3 of 4"]
    assert unsaid(text, "missing", "missing") == ["missing"]
