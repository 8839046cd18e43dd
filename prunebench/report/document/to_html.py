"""A document as one self-contained page: styles and figures inside, no network, no script."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from pathlib import Path

from prunebench.errors import PrunebenchError, reason_of
from prunebench.report.document.elements import Document
from prunebench.report.html_template import rendered
from prunebench.storage.files import require_plain

WIDTHS = (1440, 1080, 760)  # pixels; the widest at which all figures fit is taken
COLOURS = 128  # enough for lines and letters, and a third of the bytes
BUDGET = 2_200_000  # characters of all figures of a page


def html(document: Document, root: Path) -> str:
    """Return the page.

    Args:
        document: the report.
        root: the experiment's folder; the figures' paths are relative to it.

    Raises:
        PrunebenchError: a figure is damaged.
    """
    images = embedded(root / figure.path for figure in document.figures())
    named = {str(path.relative_to(root)): uri for path, uri in images.items()}
    return rendered("report.html.j2", document=document, images=named)


def embedded(paths: Iterable[Path]) -> dict[Path, str]:
    """Return data URIs of PNG files, all together within BUDGET.

    Wide figures are scaled down to few colours. Where even the narrowest do not fit, the last ones
    are left out.

    Args:
        paths: the files, in the order of the page.

    Raises:
        PrunebenchError: a file is no picture.
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

    require_plain(path)
    try:
        # of another format, a file may start a program as it is opened
        with Image.open(path, formats=("PNG",)) as file:
            picture = file.convert("RGB")
    except Exception as error:  # what Pillow raises for damaged bytes is no closed set
        raise PrunebenchError(
            f"{path} is damaged: {reason_of(error)}; draw the figures again"
        ) from error
    if picture.width > width:
        height = round(picture.height * width / picture.width)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    few = picture.quantize(COLOURS, dither=Image.Dither.NONE)
    memory = io.BytesIO()
    few.save(memory, format="png")  # optimize: a tenth less, in seven times the time
    return f"data:image/png;base64,{base64.b64encode(memory.getvalue()).decode()}"
