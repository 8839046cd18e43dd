"""Running text, pairs of sentences, and tables of texts, prepared."""

from __future__ import annotations

from pathlib import Path

from hypothesis import strategies as st

from tests.robustness.fuzz.confined import Reader
from tests.robustness.fuzz.mutations import damaged_bytes
from tests.robustness.fuzz.readers.prepared_set import prepared

_LINES = [f"the {number} cats of {number * 7} houses" for number in range(24)]


def texts(folder: Path) -> Reader:
    """Running text, pairs of sentences, and tables of texts, prepared."""
    running = "\n".join(_LINES).encode()
    table = "text,label\n" + "".join(f'"{line}",{n % 2}\n' for n, line in enumerate(_LINES))
    seeds = {
        "text-files": [running, running.decode().encode("utf-16"), b"\xef\xbb\xbf" + running],
        "parallel-text": [running, running.replace(b"\n", b"\r\n"), running.replace(b"cats", b"")],
        "text": [table.encode(), table.replace(",", "\t").encode(), table.encode("utf-16")],
    }
    kinds = {"text-files": "language-model", "parallel-text": "translation"}
    names = {"text-files": "theirs.txt", "parallel-text": "train.en", "text": "theirs.csv"}
    (folder / "train.de").write_bytes(running)
    prepare = {
        (source, unit): prepared(
            folder, source=source, kind=kinds.get(source, "classification"), tokens=unit,
            path=str(folder if source == "parallel-text" else folder / names[source]),
            length=64, **({"input": "en", "target": "de"} if source == "parallel-text" else {}),
        )
        for source in seeds
        for unit in ("words", "characters")
    }  # fmt: skip

    def read(given: tuple[str, str, bytes]) -> None:
        source, unit, content = given
        (folder / names[source]).write_bytes(content)
        prepare[source, unit]()

    return st.sampled_from(sorted(seeds)).flatmap(
        lambda source: st.tuples(
            st.just(source), st.sampled_from(["words", "characters"]), damaged_bytes(seeds[source])
        )
    ), read
