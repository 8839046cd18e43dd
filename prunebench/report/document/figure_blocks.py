"""The figures of the experiment's folder as blocks of the report."""

from __future__ import annotations

import glob
from collections.abc import Collection

from prunebench.report.document.elements import Block, Document, FigureBlock, Section
from prunebench.report.report_inputs import ReportInputs
from prunebench.storage import links


def of_stem(inputs: ReportInputs, stem: str) -> list[Block]:
    """Return the figures that were drawn as ``<stem>.png`` and ``<stem>-<task>.png``, sorted."""
    name = glob.escape(stem)
    return _blocks(inputs, f"{name}.png", f"{name}-*.png") if stem else []


def not_in(inputs: ReportInputs, sections: list[Section]) -> list[Section]:
    """Return a section of the figures that none of ``sections`` shows; [] where all are shown."""
    shown = {figure.path for figure in Document("", "", sections).figures()}
    blocks = _blocks(inputs, "*.png", but=shown)
    return [Section("Further figures", "figures", blocks)] if blocks else []


def _blocks(inputs: ReportInputs, *patterns: str, but: Collection[str] = ()) -> list[Block]:
    folder, root = inputs.layout.figures, inputs.layout.root
    blocks: list[Block] = []
    for path in sorted({path for pattern in patterns for path in folder.glob(pattern)}):
        said = inputs.captions.get(path.stem, "Drawn from cells.csv.")
        links.refuse_outside(path, root)
        place = str(path.relative_to(root))
        if place not in but:
            # a screen reader reads the rest of the caption below the figure
            blocks.append(
                FigureBlock(
                    place, f"{said.split('. ')[0].removesuffix('.')}.", f"{path.stem}: {said}"
                )
            )
    return blocks
