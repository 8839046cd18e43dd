"""Inputs that are nearly right: bytes and values of valid files, changed in a few places."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

NUMBERS = (0, -1, 1, 0.5, -0.5, 255, 2**31, 2**53, 2**63, 10**30, 1e308, 1e-320, float("nan"),
           float("inf"))  # fmt: skip
TEXTS = (
    "", " ", "x", "\ud800", "\x1b[2J", "\u202e", "../x", "..", "/etc/passwd", "~/x", "a/b", "a\0b",
    "=1+1", "nan", "0", "1e400", "x" * 5000, "evil.py:score", "https://user:pass@host/x", "é\n",
)  # fmt: skip
DEEP: Any = []
for _ in range(60):
    DEEP = [DEEP]
VALUES: tuple[Any, ...] = (
    None, True, False, *NUMBERS, *TEXTS, [], {}, [None], [0, "x"], {"": 0}, {"name": 3},
    {"x": {"y": []}}, DEEP,
)  # fmt: skip
ANY = st.sampled_from(VALUES) | st.text(max_size=6) | st.integers() | st.floats()
_INTERESTING = (b"\0", b"\xff", b"\xff" * 4, b"\0" * 8, b"\xff" * 8, b"\x7f", b"-1", b"99999999999",
                b"[" * 3000, b"{}", b'"', b"\n", b",", b"=1", b"\x1b[2J", b"\xd8\x00")  # fmt: skip


@st.composite
def damaged_bytes(draw: Callable[..., Any], seeds: Sequence[bytes]) -> bytes:
    """One of the seeds with up to four places flipped, overwritten, cut out, doubled or filled."""
    content = bytearray(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(content)))
        what = draw(st.sampled_from(("flip", "write", "insert", "cut", "double", "end")))
        length = draw(st.integers(1, 64))
        if what == "flip" and start < len(content):
            content[start] ^= 1 << draw(st.integers(0, 7))
        elif what == "write":
            other = draw(st.sampled_from(_INTERESTING) | st.binary(max_size=8))
            content[start : start + len(other)] = other
        elif what == "insert":
            content[start:start] = draw(st.sampled_from(_INTERESTING) | st.binary(max_size=40))
        elif what == "cut":
            del content[start : start + length]
        elif what == "double":
            content[start:start] = content[start : start + length]
        elif what == "end":
            del content[start:]
    return bytes(content)


@st.composite
def changed_value(draw: Callable[..., Any], seeds: Sequence[Any]) -> Any:
    """One of the seeds, each of what JSON can say, with up to three values or keys changed."""
    whole = [deepcopy(draw(st.sampled_from(seeds)))]
    for _ in range(draw(st.integers(0, 3))):
        places = list(_places(whole))
        # of a list, Hypothesis would look at every entry first
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        what = draw(st.sampled_from(("value", "value", "remove", "rename", "double")))
        if what == "value" or holder is whole:
            holder[key] = deepcopy(draw(ANY))  # the next change may fall within it
        elif what == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            value = holder[key]
            if what == "rename":
                del holder[key]
            holder[draw(st.sampled_from(TEXTS) | st.text(max_size=4))] = value
        else:
            holder.append(deepcopy(holder[key]))
    return whole[0]


def _places(value: Any) -> Any:
    """Yield each place below a value as its holder and key."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in list(items):
        yield value, key
        if isinstance(inner, dict | list):
            yield from _places(inner)
