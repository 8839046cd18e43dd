"""Messages: one line, values shown short, the nearest name suggested."""

from __future__ import annotations

from prunebench.errors import PrunebenchError, shown, suggest


def test_a_message_is_one_line() -> None:
    assert str(PrunebenchError("a\n  b\r\nc\u2028d")) == "a b c d"


def test_a_value_is_shown_short() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert len(shown("x" * 10_000)) <= 120
    assert len(shown([["x" * 100] * 100] * 100)) <= 120
    assert shown(10**5000) == "a very long number"


def test_the_nearest_is_suggested() -> None:
    assert suggest("epoch", ["epochs", "seeds"]) == "; did you mean 'epochs'?"
    assert suggest("zzz", ["epochs", "seeds"]) == "; known: epochs, seeds"
    assert suggest("zzz", []) == ""
