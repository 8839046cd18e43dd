"""Write what is generated of the documentation: settings, methods, parts, traits, measures, …

    python docs/generate.py

Each stands on its page between two marks, ``<!-- settings -->`` and ``<!-- /settings -->``; the
picture of the rooms is a file of its own. A test says which is out of date.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from typer.main import get_command

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from docs.findings import committed  # noqa: E402
from prunebench.cli import app  # noqa: E402
from prunebench.cli.app import GROUPS, group_of  # noqa: E402
from prunebench.evaluation import measures_table  # noqa: E402
from prunebench.experiment import catalog, registry  # noqa: E402
from prunebench.experiment.part_kinds import KINDS, Network  # noqa: E402
from prunebench.experiment.settings import PARTS  # noqa: E402

# the parts of a configuration in the order of the page, with their heading
SECTIONS = {
    "Experiment": "The top level",
    "Task": "tasks: data sets",
    "Speech": "tasks: speech",
    "Augmentation": "tasks: augmentation",
    "Regime": "regimes: what provokes overfitting",
    "Model": "models: networks",
    "Method": "methods: how to prune",
    "First": "methods: first",
    "Training": "training",
    "Compute": "compute: how jobs run",
    "Prunable": "prunable: which weights may go",
    "Calibration": "calibration: what criteria look at",
    "Probes": "probes: what is measured of stored networks",
    "Latency": "latency: how times are measured",
    "Analysis": "analysis: how records are judged",
    "Report": "report: what is shown",
}
ENTRIES = {"tasks": "Task", "regimes": "Regime", "models": "Model", "methods": "Method"}
SAFETY = 10**6  # a limit so high keeps libraries from breaking, and limits nobody
# the rooms of the package from the top, each with what is in it; those of the first group use torch
ROOMS = (
    {
        "cli": "the commands: one for each step of the workflow, and some for people; no logic",
        "reproduce": "verify results, check submissions: compute again and compare",
        "runner": "what a job does: baselines, curves, cells, progress, failures, disk",
        "evaluation": "measures of stored predictions, probes of stored networks",
        "compression": "shrink, encode, quantize, time and export a pruned network",
        "pruning": "criteria, patterns, allocations, schedules, recoveries",
        "training": "the training loop, optimizers, checkpoints, networks",
        "tasks": "data sets: sources, splits, label noise, batches",
    },
    {
        "report": "tables, figures, leaderboard, report, the files for a paper",
        "tracking": "export to MLflow",
        "published": "results of others, and two experiments side by side",
        "statistics": "scores, intervals, tests, hypotheses",
        "experiment": "settings, presets, the registry of parts, the plan of jobs, identities",
        "storage": "files: layout, records, hashes, locks, provenance, RO-Crate",
        "text": "numbers, safe names, Markdown and LaTeX, progress bars",
        "errors": "the errors that tell users what to put right",
    },
)
OUTCOMES = ("works", "masked", "different", "refused", "fault", "limit")  # of a trial
REASON = 240  # signs of a reason
MANY = 6  # more values than that have a page of their own
Schema = dict[str, Any]


def code(text: str) -> str:
    """Turn a docstring's text into Markdown: what it marks as code; no tags."""
    return text.replace("``", "`").replace("<", "&lt;")


def settings() -> str:
    """The reference of the configuration: a section and a table for each of its parts."""
    schema = catalog.json_schema()
    # an entry of a list is a name, or a mapping: its part with ``base``
    entries = {
        name: schema["properties"][key]["items"]["anyOf"][1] for key, name in ENTRIES.items()
    }
    parts = {"Experiment": schema, **schema["$defs"], **entries}
    assert set(parts) == {*SECTIONS, "Part", "JsonValue"}, sorted(parts)
    return "\n\n".join(_section(parts, name) for name in SECTIONS)


def _section(parts: dict[str, Schema], name: str) -> str:
    part = parts[name]
    needed = {*part.get("required", ()), *part.get("then", {}).get("required", ())}
    rows = [
        (
            f"`{key}`",
            _type(value),
            "required" if key in needed else _default(value),
            _range(value),
            code(value.get("description", "")),
        )
        for key, value in part["properties"].items()
    ]
    about = code(" ".join(part.get("description", "").split()))
    head = f"## {SECTIONS[name]}" + (f"\n\n{about}" if about else "")
    return (
        f"{head}\n\n{catalog.page_table(('setting', 'type', 'default', 'range', 'meaning'), rows)}"
    )


def _alternatives(value: Schema) -> list[Schema]:
    return [each for each in value.get("anyOf", [value]) if each.get("type") != "null"]


def _type(value: Schema) -> str:
    return " or ".join(dict.fromkeys(_plain_type(each) for each in _alternatives(value)))


def _plain_type(value: Schema) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return _linked("mapping", name) if name in SECTIONS else "name or mapping"
    if "enum" in value:
        return "name" if len(value["enum"]) > MANY else "text"
    if value.get("type") == "array":
        items = value.get("items", {})
        return f"list of {'names or mappings' if 'anyOf' in items else f'{_type(items)}s'}"
    if value.get("type") == "string" and value.get("maxLength"):
        return "name"
    return {
        "integer": "whole number", "number": "number", "string": "text", "boolean": "yes or no",
        "object": "mapping",
    }[value["type"]]  # fmt: skip


def _linked(text: str, name: str) -> str:
    """A link to the section of a part of the configuration."""
    return f"[{text}](#{SECTIONS[name].lower().replace(': ', '-').replace(' ', '-')})"


def _default(value: Schema) -> str:
    default = value.get("default")
    if default is None or default == "":
        return "none"
    if isinstance(default, dict) and default:
        return "as below"
    return f"`{json.dumps(default, ensure_ascii=False)}`".replace('"', "")


def _range(value: Schema) -> str:
    if "gt" in value:  # of a number of two types pydantic writes the bounds beside these
        return f"({value['gt']}, ∞)"
    return "; ".join(dict.fromkeys(filter(None, map(_plain_range, _alternatives(value)))))


def _plain_range(value: Schema) -> str:
    if "enum" in value and len(value["enum"]) <= MANY:
        return ", ".join(f"`{each}`" for each in value["enum"])
    if value.get("type") == "array":
        own = f"at least {value['minItems']}" if "minItems" in value else ""
        inner = "" if "anyOf" in value.get("items", {}) else _range(value.get("items", {}))
        return "; ".join(filter(None, (own, f"each {inner}" if inner else "")))
    if value.get("type") == "integer":
        return _whole(value)
    low = _bound(value, "[", "minimum", "(", "exclusiveMinimum") or "(−∞"
    high = _bound(value, "]", "maximum", ")", "exclusiveMaximum") or "∞)"
    return "" if (low, high) == ("(−∞", "∞)") else f"{low}, {high}"


def _whole(value: Schema) -> str:
    """The range of a whole number, in words; a bound that is there for safety alone is left out."""
    low = value.get("minimum", value.get("exclusiveMinimum", -1) + 1)
    high = value.get("maximum")
    if not {"minimum", "exclusiveMinimum"} & set(value):
        return ""
    return f"{low} or more" if high is None or high >= SAFETY else f"{low} to {high}"


def _bound(value: Schema, closed: str, inside: str, opened: str, outside: str) -> str:
    """One end of an interval; empty where there is none."""
    for sign, key in ((closed, inside), (opened, outside)):
        if key in value:
            return f"{sign}{value[key]}" if sign in "[(" else f"{value[key]}{sign}"
    return ""


def parts() -> str:
    """A table for each kind of part of a method: name, parameters, what it does."""
    return "\n\n".join(_kind(kind) for kind in PARTS)


def _kind(kind: str) -> str:
    rows = []
    for name, spec in sorted(registry.builtin(KINDS[kind]).items()):
        ranges = spec.traits.ranges
        given = [
            f"`{key}: {json.dumps(value) if key in spec.parameters else ''}`"
            + (f" in {ranges[key]}" if key in ranges else "")
            for key, value in spec.parameters.items()
        ]
        rows.append((f"`{name}`", code(spec.summary), "<br>".join(given)))
    heading = {"recovery": "Recoveries", "criterion": "Criteria"}.get(kind, f"{kind.title()}s")
    return f"### {heading}\n\n{catalog.page_table((kind, 'what it does', 'parameters'), rows)}"


def traits() -> str:
    """A table for each kind of part: what the decorator of such a function may declare."""
    tables = []
    for name, kind in KINDS.items():
        rows = [
            (f"`{trait}`", f"`{field.get_default(call_default_factory=True)!r}`", field.description)
            for trait, field in kind.model_fields.items()
        ]
        about = code(" ".join((kind.__doc__ or "").split()))
        table = catalog.page_table(("trait", "default", "meaning"), rows)
        tables.append(f"### @{name}\n\n{about}\n\n{table}")
    return "\n\n".join(tables)


def commands() -> str:
    """A table of the commands and what each does, for each of their groups."""
    whole: Any = get_command(app)
    rows: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
    for name in whole.list_commands(None):
        command = whole.commands[name]
        if command.hidden:
            continue
        below = getattr(command, "commands", {})
        named = {f"{name} {sub}": each for sub, each in below.items()} or {name: command}
        rows[group_of(command)] += [
            (f"`{each}`", found.get_short_help_str(200)) for each, found in named.items()
        ]
    header = ("command", "what it does")
    return "\n\n".join(
        f"## {group}\n\n{catalog.page_table(header, found)}" for group, found in rows.items()
    )


def rooms() -> str:
    """The picture of the rooms, as SVG: imports point down."""
    width, height, left, top = 820, 34, 132, 14
    groups, y = [], top
    for group, (title, colour) in zip(
        ROOMS, (("may use PyTorch", "#e0f2f1"), ("never PyTorch", "#fff3e0")), strict=True
    ):
        bottom = y + height * len(group)
        middle = (y + bottom) / 2
        groups.append(
            f'<text transform="translate(58 {middle:g}) rotate(-90)" text-anchor="middle"'
            f' fill="#555">{title}</text>'
        )
        for name, about in group.items():
            groups.append(
                f'<rect x="{left - 52}" y="{y}" width="{width - left + 38}" height="{height - 6}"'
                f' rx="5" fill="{colour}" stroke="#90a4ae"/>'
                f'<text x="{left - 38}" y="{y + 19}" font-weight="bold">{name}</text>'
                f'<text x="{left + 66}" y="{y + 19}">{escape(about)}</text>'
            )
            y += height
        y += 8
    arrow = (
        f'<path d="M 26 {top} V {y - 20}" stroke="#555" stroke-width="2"/>'
        f'<path d="M 19 {y - 22} h 14 l -7 12 z" fill="#555"/>'
        f'<text transform="translate(16 {y / 2:g}) rotate(-90)" text-anchor="middle"'
        ' fill="#555">imports</text>'
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" font-size="13"'
        ' font-family="sans-serif" fill="#222">\n'
        f'<rect width="{width}" height="{y}" fill="#fff"/>\n{arrow}\n'
        + "\n".join(groups)
        + "\n</svg>\n"
    )


def shipped() -> str:
    """A table of the networks that ship: the inputs that they take, and what they are."""
    rows = [
        (f"`{name}`", ", ".join(spec.traits.inputs), code(spec.summary))
        for name, spec in sorted(registry.builtin(Network).items())
    ]
    return catalog.page_table(("network", "inputs", "what it is"), rows)


def networks() -> str:
    """Counts, a table of the outcomes by module and pattern, and one of the reasons."""
    found = json.loads((DOCS / "network-coverage.json").read_text(encoding="utf-8"))
    patterns = ("weight", "n-m", "filter", "block")
    ran = {place: item for place, item in found.items() if "does not run" not in item}
    counts = [
        (f"`{pattern}`", *(str(outcomes.count(each)) for each in OUTCOMES))
        for pattern in patterns
        for outcomes in [[item[pattern]["outcome"] for item in ran.values()]]
    ]
    rows = []
    reasons: dict[tuple[str, str, str], list[str]] = {}  # network, outcome, words -> patterns
    for place, item in found.items():
        name = f"`{item['network']}`"
        if place not in ran:
            rows.append((place, name, "does not run", "", *[""] * len(patterns)))
            reasons[name, "does not run", item["does not run"]] = []
            continue
        shape = "×".join(map(str, item["input"]))
        share = f"{item['prunable_share']:.0%}" if "prunable_share" in item else "–"
        rows.append((place, name, shape, share, *(_outcome(item[each]) for each in patterns)))
        for pattern in patterns:
            if says := item[pattern]["says"]:
                which = (name, item[pattern]["outcome"], _cut(says))
                reasons.setdefault(which, []).append(f"`{pattern}`")
    said = [
        (name, ", ".join(which), outcome, code(says))
        for (name, outcome, says), which in reasons.items()
    ]
    header = ("module", "network", "images", "prunable", *(f"`{each}`" for each in patterns))
    parts = (
        f"{len(found)} modules; the network of {len(ran)} runs.",
        catalog.page_table(("pattern", *OUTCOMES), counts),
        catalog.page_table(header, rows),
        "## Reasons and notes",
        catalog.page_table(("network", "patterns", "outcome", "what is said"), said),
    )
    return "\n\n".join(parts)


def _cut(text: str) -> str:
    return text if len(text) <= REASON else f"{text[:REASON]}…"


def _outcome(found: Schema) -> str:
    left = f", {found['left']:.0%} left" if "left" in found else ""
    return f"{found['outcome']}{left}"


FILLED: dict[str, tuple[str, Callable[[str], str]]] = {
    "settings": ("configuration.md", lambda text: catalog.insert(text, "settings", settings())),
    "methods": ("methods.md", catalog.fill),
    "parts": ("methods.md", lambda text: catalog.insert(text, "parts", parts())),
    "traits": ("own-parts.md", lambda text: catalog.insert(text, "traits", traits())),
    "measures": ("measures.md", measures_table.fill),
    "kinds": ("kinds.md", catalog.fill_kinds),
    "shipped": ("networks.md", lambda text: catalog.insert(text, "shipped", shipped())),
    "networks": ("networks.md", lambda text: catalog.insert(text, "networks", networks())),
    "commands": ("commands.md", lambda text: catalog.insert(text, "commands", commands())),
    "findings": ("overfitting.md", lambda text: catalog.insert(text, "findings", committed())),
    "first screen": (
        "../README.md",
        lambda text: catalog.insert(text, "findings", committed(whole=False)),
    ),
}


def pages() -> dict[Path, str]:
    """Every page with a generated part, and the picture of the rooms, as it should be."""
    found = {DOCS / "rooms.svg": rooms()}
    for page, fill in FILLED.values():
        path = (DOCS / page).resolve()
        found[path] = fill(found.get(path) or path.read_text(encoding="utf-8"))
    return found


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
