"""Pages from the templates of this room: every value is escaped, a missing one is an error."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"
ONE_COLUMN = 700  # pixels: figures of one column of a paper are 650 wide, those of a page 1,350


def rendered(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: the name of a file in templates/.
        values: the template's variables.

    Raises:
        jinja2.UndefinedError: the template asks for a variable that was not given.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    # autoescape also where the name of the template does not end in .html
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.tests["narrow"] = _narrow
    return environment.get_template(template).render(values)


def _narrow(uri: str) -> bool:
    """Return whether a PNG's data URI is of a figure of one column, legible on a telephone."""
    header = base64.b64decode(uri.partition(",")[2][:32])  # 24 bytes: up to the width and height
    return int.from_bytes(header[16:20], "big") <= ONE_COLUMN
