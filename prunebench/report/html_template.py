"""Pages from the templates of this room: every value is escaped, a missing one is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

TEMPLATES = Path(__file__).parent / "templates"


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
    return environment.get_template(template).render(values)
