"""The table of measures, of predictions and of probes, for people and programs. Without torch."""

from __future__ import annotations

from prunebench.evaluation.generalization import MEASURES
from prunebench.experiment.catalog import insert, page_table
from prunebench.experiment.part_kinds import Probe
from prunebench.experiment.registry import builtin
from prunebench.storage.records import QUALITY, SHRUNK, SIZE


def measure_rows() -> list[dict[str, str]]:
    """A row per column that is measured of predictions or by a probe, quality first.

    ``column``, ``better`` (lower, higher, zero, or empty where no direction is better), ``unit``,
    ``formula``, ``source``, ``summary``, ``kinds`` of tasks that have it (empty: all) and
    ``probe``: the probe that computes it, empty where stored predictions do.
    """
    found = {
        column: {
            "column": column, "better": item.better, "unit": item.unit, "formula": item.formula,
            "source": item.source, "summary": item.summary,
            "kinds": ", ".join(item.kinds or ()), "probe": "",
        }
        for column, item in MEASURES.items()
    }  # fmt: skip
    for name, spec in builtin(Probe).items():
        units = spec.traits.unit  # one for all columns, or each its own
        for column, formula in spec.traits.columns.items():
            found[column] = {
                "column": column, "better": spec.traits.better,
                "unit": units[column] if isinstance(units, dict) else units,
                "formula": formula, "source": spec.traits.source, "summary": spec.summary,
                "kinds": ", ".join(spec.traits.kinds), "probe": name,
            }  # fmt: skip
    return [found[column] for column in (*QUALITY, *SIZE, *SHRUNK) if column in found]


def measures_table() -> str:
    """Return the table of measures for a terminal, in Markdown: names and formulas in code."""
    from tabulate import tabulate

    rows = [
        {
            key: _code(value) if key in ("column", "formula", "probe") else value
            for key, value in row.items()
        }
        for row in measure_rows()
    ]
    # a bar would end the table's field, also within code
    cells = [[value.replace("|", r"\|") for value in row.values()] for row in rows]
    return tabulate(cells, list(rows[0]), tablefmt="pipe", disable_numparse=True)


def measures_by_origin() -> str:
    """Return the measures for a page, in Markdown: those of predictions, then probe by probe."""
    rows = measure_rows()
    predicted = [
        [_code(row["column"]), f"{row['summary']}<br>{_code(row['formula'])}",
         row["better"], row["unit"], row["kinds"].replace("-", "‑") or "all", row["source"]]
        for row in rows
        if not row["probe"]
    ]  # fmt: skip
    header = ["column", "what it is", "better", "unit", "kinds of tasks", "source"]
    tables = [f"## From stored predictions\n\n{page_table(header, predicted)}"]
    for probe in dict.fromkeys(row["probe"] for row in rows if row["probe"]):
        own = [row for row in rows if row["probe"] == probe]
        cells = [[_code(row["column"]), _code(row["formula"]), row["better"], row["unit"]]
                 for row in own]  # fmt: skip
        table = page_table(["column", "formula", "better", "unit"], cells)
        about = f"{own[0]['summary']} ({own[0]['source']})".replace("``", "`")
        if own[0]["kinds"]:
            about += f" Kinds of tasks: {own[0]['kinds']}."
        tables.append(f"## Probe: {probe}\n\n{about}\n\n{table}")
    return "\n\n".join(tables)


def _code(value: str) -> str:
    return f"`{value}`" if value else ""


def fill(text: str) -> str:
    """Return a text with the measures between its marks ``<!-- measures -->``."""
    return insert(text, "measures", measures_by_origin())
