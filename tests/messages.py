"""What a message must say, without pinning its sentence."""

from __future__ import annotations


def unsaid(text: str, *words: str) -> list[str]:
    """Which of the words a text lacks, or has only before the one that comes before it here."""
    missing, place = [], 0
    for word in words:
        found = text.find(word, place)
        if found < 0:
            missing.append(word)
        else:
            place = found + len(word)
    return missing
