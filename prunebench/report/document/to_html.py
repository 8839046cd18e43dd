"""A document as one self-contained page: styles and figures inside, no network, no script."""

from __future__ import annotations

from pathlib import Path

from prunebench.report.document import embedded_figures
from prunebench.report.document.elements import Document

TEMPLATES = Path(__file__).parents[1] / "templates"


def html(document: Document, root: Path) -> str:
    """The page; figures are read below ``root``. Raises PrunebenchError for a damaged one."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # autoescape also where the name of the template does not end in .html
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    uris = embedded_figures.embedded(root / figure.path for figure in document.figures())
    return environment.get_template("report.html.j2").render(
        document=document,
        images={str(path.relative_to(root)): uri for path, uri in uris.items()},
    )
