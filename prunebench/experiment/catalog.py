"""Tables of the methods that ship, and the JSON schema of a configuration."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from typing import Any

from prunebench.errors import PrunebenchError
from prunebench.experiment import config, registry
from prunebench.experiment.inheritance import EXTENDS
from prunebench.experiment.part_kinds import TaskKindTraits
from prunebench.experiment.settings import PARTS, SCORING, Experiment, Method

# a part is written as its name, or as a mapping with its parameters
PART = {"anyOf": [{"type": "string"}, {"type": "object", "required": ["name"]}]}


def methods() -> list[Method]:
    """Return every method that ships, checked."""
    return [config.method(name) for name in config.presets("methods")]


def method_rows() -> list[dict[str, str]]:
    """Return a row for each method that ships: name, family, five parts, paper, description."""
    return [
        {
            "name": method.name,
            "family": method.family,
            **{kind: getattr(method, kind).name for kind in PARTS},
            "paper": method.paper,
            "description": method.description,
        }
        for method in methods()
    ]


def markdown_table() -> str:
    """Return the table of methods for a terminal, in Markdown."""
    from tabulate import tabulate

    rows = method_rows()
    return tabulate([list(row.values()) for row in rows], list(rows[0]), tablefmt="pipe")


def methods_by_family() -> str:
    """Return the methods for a page, in Markdown: a heading and a table for each family."""
    tables = []
    rows = method_rows()
    for family in dict.fromkeys(row["family"] for row in rows):
        cells = [
            [
                f"`{row['name']}`",
                row["description"],
                " · ".join(row[kind] for kind in PARTS),
                row["paper"],
            ]
            for row in rows
            if row["family"] == family
        ]
        header = ["method", "what it does", " · ".join(PARTS), "paper"]
        tables.append(f"### Family: {family}\n\n{page_table(header, cells)}")
    return "\n\n".join(tables)


def page_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown for a page, unpadded: a longer word changes its own line only."""
    lines = [[*header], ["---" for _ in header], *([*row] for row in rows)]
    return "\n".join(f"| {' | '.join(map(_field, line))} |" for line in lines)


def _field(text: str) -> str:
    """Return the text of a field; a bar would end it, and within code none can be escaped."""
    barred = re.compile(r"`([^`]*\|[^`]*)`")
    marked = barred.sub(lambda code: f"<code>{escape(code[1])}</code>", text)
    return marked.replace("|", "&#124;")


def insert(text: str, mark: str, table: str) -> str:
    """Return a text with a table between its marks ``<!-- mark -->`` and ``<!-- /mark -->``.

    Args:
        text: the text; what stands between the marks is replaced.
        mark: the word of the marks.
        table: what to put there.

    Raises:
        PrunebenchError: a mark is missing.
    """
    begin, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    before, found, rest = text.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        raise PrunebenchError(f"no place for the table: put {begin.strip()} and {end} on two lines")
    return f"{before}{begin}\n{table}\n\n{end}{after}"


def fill(text: str) -> str:
    """Return a text with the methods between its marks ``<!-- methods -->``."""
    return insert(text, "methods", methods_by_family())


def kind_rows() -> list[dict[str, str]]:
    """Return a row for each kind of task: name, inputs, targets, error, formula, unit, noises."""
    return [
        {
            "kind": name, "inputs": ", ".join(spec.traits.inputs), "targets": spec.traits.targets,
            "error": spec.traits.error, "formula": spec.traits.formula, "unit": spec.traits.unit,
            "noises": ", ".join(spec.traits.noises), "summary": spec.summary,
        }
        for name, spec in registry.builtin(TaskKindTraits).items()
    ]  # fmt: skip


def kinds_table() -> str:
    """Return the table of kinds of tasks for a terminal, in Markdown."""
    from tabulate import tabulate

    rows = kind_rows()
    cells = [[value.replace("|", r"\|") for value in row.values()] for row in rows]
    return tabulate(cells, list(rows[0]), tablefmt="pipe", disable_numparse=True)


def fill_kinds(text: str) -> str:
    """Return a text with the kinds of tasks between its marks ``<!-- kinds -->``."""
    header = [
        "kind",
        "what it is",
        "inputs",
        "targets",
        "error that ranks",
        "formula",
        "a share of",
    ]
    rows = [
        [f"`{row['kind']}`", row["summary"], row["inputs"], row["targets"], row["error"],
         f"`{row['formula']}`", row["unit"].removeprefix("share of ")]
        for row in kind_rows()
    ]  # fmt: skip
    return insert(text, "kinds", page_table(header, rows))


def _named(kind: str, item: dict[str, Any]) -> dict[str, Any]:
    """An entry of a list: a preset's name, or a mapping that refines one."""
    known = sorted(config.presets(kind))
    base = {"enum": known, "description": "Preset that this entry refines; default: its name."}
    mapping = {**item, "properties": {**item["properties"], "base": base}, "required": ["name"]}
    if kind == "methods":
        _write_parts(mapping["properties"], PARTS)
    name = {"enum": known} if known else {"type": "string"}
    return {"anyOf": [name, mapping]}


def _write_parts(properties: dict[str, Any], kinds: tuple[str, ...]) -> None:
    """Let parts be written as a name or a mapping, where the resolved ones are mappings."""
    for kind in kinds:
        properties[kind] = PART | {"description": properties[kind]["description"]}


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration as it is written, before presets are filled in."""
    schema = Experiment.model_json_schema()
    # of a file that extends another one, the other may say what is required
    schema["properties"][EXTENDS] = {
        "type": "string",
        "description": "YAML file, beside this one, whose settings hold where this one has none.",
    }
    required = schema.pop("required")
    schema |= {"if": {"not": {"required": [EXTENDS]}}, "then": {"required": required}}
    # a model may change any of it
    first = schema["$defs"]["First"]
    _write_parts(first["properties"], SCORING)
    first["required"] = ["criterion"]
    own = schema["$defs"]["Model"]["properties"]
    own["training"] = {
        "$ref": "#/$defs/Training",
        "description": own["training"]["description"],
    }
    for kind, model in (("tasks", "Task"), ("regimes", "Regime"), ("models", "Model"),
                        ("methods", "Method")):  # fmt: skip
        schema["properties"][kind]["items"] = _named(kind, schema["$defs"][model])
    alone = schema["$defs"]["Probes"]["properties"]["sensitivity"]
    # names of the grid's own methods, too
    alone["items"] = {"anyOf": [{"type": "string"}, {"$ref": "#/properties/methods/items"}]}
    return schema
