"""Figures that are drawn and not written: matplotlib takes seconds for each file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from prunebench.report import figures


@contextmanager
def only_saved(names: set[str]) -> Iterator[None]:
    """Every figure is drawn; those of other names leave empty files."""
    save = figures.save

    def few(
        figure: Figure, folder: Path, name: str, kinds: Sequence[str] = figures.KINDS
    ) -> list[Path]:
        if name in names:
            return save(figure, folder, name, kinds)
        paths = [folder / f"{name}.{kind}" for kind in kinds]
        for path in paths:
            path.touch(exist_ok=False)
        return paths

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "save", few)
        yield
