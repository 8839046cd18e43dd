"""The figures of a folder as blocks of the report."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from prunebench.report.document import figure_blocks
from prunebench.storage.layout import Layout


@pytest.mark.parametrize("caption", ["What it shows.", "What it shows. How to read it."])
def test_the_description_is_the_first_sentence_with_one_full_stop(
    tmp_path: Path, caption: str
) -> None:
    layout = Layout(tmp_path)
    layout.figures.mkdir()
    (layout.figures / "own.png").touch()
    inputs: Any = SimpleNamespace(layout=layout, captions={"own": caption})
    [block] = figure_blocks.of_stem(inputs, "own")
    assert vars(block) | {"path": ""} == vars(
        figure_blocks.FigureBlock("", "What it shows.", f"own: {caption}")
    )
