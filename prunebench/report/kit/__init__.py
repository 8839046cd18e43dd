"""What an experiment gives to a paper: numbers, sources, methods, figures, and an example of it.

``results/<experiment>/paper/``: macros.tex, methods.tex, measures.tex, methods.md with both,
methods.bib, figures/ for one column, and paper.tex, which shows how they and the experiment's
tables go together.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from prunebench.errors import PrunebenchError
from prunebench.files import write_text
from prunebench.layout import Layout
from prunebench.records import LAYER_COLUMNS
from prunebench.report import declared, figures, savings
from prunebench.report.figures import column
from prunebench.report.figures.scene import Scene
from prunebench.report.kit import cite, example, macros, methods
from prunebench.report.kit.methods import Paragraph
from prunebench.report.paper.material import Material
from prunebench.statistics import SETTING
from prunebench.statistics.origin import own

HEAD = "% Written by prunebench from config.json and cells.csv; needs methods.bib.\n"


def write(cells: pd.DataFrame, layout: Layout) -> list[Path]:
    """Write the folder ``paper`` below ``layout.root``; return the paths.

    The example shows the tables of ``layout.tables`` that are there. Raises PrunebenchError where
    the resolved configuration cannot be read, which the methods are written from, and for cells
    that ``statistics.check_cells`` refuses.
    """
    experiment, unread = declared.experiment(layout)
    if experiment is None:
        raise PrunebenchError(f"{layout.root}: the methods are written from config.json: {unread}")
    folder = layout.paper
    material = Material(own(cells), layout, [], experiment)
    said = methods.paragraphs(material, experiment)
    numbers = macros.numbers(material)
    layers = savings.read(layout.layers_csv, LAYER_COLUMNS)
    drawn = column.write(cells, folder / "figures", material.analysis, layers)
    drawn += _wide(material, folder / "figures")
    measured = methods.measures(material)
    used = cite.cited("\n".join(each.text for each in [*said, measured]))
    made = {
        "macros.tex": macros.text(numbers),
        "methods.tex": HEAD + "\n\n".join(map(_latex, said)) + "\n",
        "measures.tex": f"{HEAD}{_latex(measured)}\n",
        "methods.md": "\n\n".join(map(_markdown, [*said, measured])) + "\n",
        "methods.bib": cite.bibliography(used),
        "paper.tex": example.text(material, numbers, folder),
    }
    for name, text in made.items():
        write_text(folder / name, text)
    return [*drawn, *(folder / name for name in made)]


def _wide(material: Material, folder: Path) -> list[Path]:
    """The example's figure that is as wide as a page."""
    scene = Scene.of(material.cells, material.analysis)
    setting = example.setting_of(own(material.cells))
    here = (scene.cells[SETTING] == list(setting)).all(axis=1)
    drawn = figures.figures()[example.WIDE].draw(scene.cells[here], scene)
    if drawn is None:
        return []
    return figures.save(column.untitled(drawn), folder, example.stems(setting)[1])


def _latex(paragraph: Paragraph) -> str:
    return f"\\paragraph{{{cite.latex(paragraph.heading)}.}}\n{cite.latex(paragraph.text)}"


def _markdown(paragraph: Paragraph) -> str:
    return f"**{cite.markdown(paragraph.heading)}.** {cite.markdown(paragraph.text)}"


__all__ = ["write"]
