"""The figures of an experiment: which show a hypothesis, and small enough to be part of a page."""

from __future__ import annotations

import base64
import glob
import io
from collections.abc import Iterable
from pathlib import Path

from prunebench.errors import PrunebenchError
from prunebench.report.document.elements import Figure

WIDTHS = (1440, 1080, 760)  # pixels; the widest at which all figures fit is taken
COLOURS = 128  # enough for lines and letters, and a third of the bytes
BUDGET = 2_200_000  # characters of all figures of a page


def of_stem(folder: Path, stem: str) -> list[Path]:
    """The PNG files ``<stem>.png`` and ``<stem>-<task>.png`` of a folder, sorted."""
    if not stem:
        return []
    name = glob.escape(stem)
    return sorted({*folder.glob(f"{name}.png"), *folder.glob(f"{name}-*.png")})


def every(folder: Path) -> list[Path]:
    """All PNG files of a folder, sorted."""
    return sorted(folder.glob("*.png"))


def figure(path: Path, root: Path, captions: dict[str, str]) -> Figure:
    """The block that shows a file below ``root``, with the caption of its stem."""
    said = captions.get(path.stem, "Drawn from cells.csv.")
    # a reader of the screen hears the rest from the caption
    return Figure(str(path.relative_to(root)), f"{said.split('. ')[0]}.", f"{path.stem}: {said}")


def embedded(paths: Iterable[Path]) -> dict[Path, str]:
    """Data URIs of PNG files, all together within BUDGET.

    Wider ones are scaled down, with few colours; where even the narrowest are too many, the last
    are left out. Raises PrunebenchError for a file that is no picture.
    """
    wanted = list(dict.fromkeys(paths))
    made: dict[Path, str] = {}
    for width in WIDTHS:
        made = {path: _uri(path, width) for path in wanted}
        if sum(map(len, made.values())) <= BUDGET:
            return made
    kept, used = {}, 0
    for path, uri in made.items():
        used += len(uri)
        if used > BUDGET:
            break
        kept[path] = uri
    return kept


def _uri(path: Path, width: int) -> str:
    from PIL import Image

    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except OSError as error:
        raise PrunebenchError(f"{path} is damaged: {error}; draw the figures again") from error
    if picture.width > width:
        height = round(picture.height * width / picture.width)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    few = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    memory = io.BytesIO()
    few.save(memory, format="png", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(memory.getvalue()).decode()}"
