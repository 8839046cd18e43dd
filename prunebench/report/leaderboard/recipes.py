"""The exact recipe of a method: a configuration to paste, and the command that runs it."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote
from typing import Any

import yaml

from prunebench.experiment.settings import Experiment
from prunebench.report import declared_analysis
from prunebench.statistics import RANDOM
from prunebench.storage.layout import Layout
from prunebench.storage.records import DENSE
from prunebench.text import private

END = "END_OF_RECIPE"  # of the here-document
LONGEST = 64  # letters of an experiment's name


@dataclass(frozen=True)
class Recipe:
    """The recipe of one method. Its configuration is ``own`` followed by the common part."""

    file: str
    own: str  # YAML: experiment, methods, analysis
    about: str  # description and paper


@dataclass(frozen=True)
class Recipes:
    """Recipes by method; ``missing`` says why there are none."""

    methods: dict[str, Recipe]
    common: str = ""  # YAML: what all methods share
    missing: str = ""

    def configuration(self, method: str) -> str:
        """Return the whole configuration as YAML."""
        return self.methods[method].own + self.common

    def command(self, method: str) -> str:
        """Return shell lines that write the configuration and run it, inside the repository."""
        file = quote(self.methods[method].file)
        return (
            f"cat > {file} <<'{END}'\n{self.configuration(method)}{END}\n"
            f"python -m prunebench workflow {file} --cores all\n"
        )


def recipes(layout: Layout) -> Recipes:
    """Return the recipe of every method of the resolved configuration, and of the dense baseline.

    Each is a grid of that method and ``random``, under a name of its own, with the settings and
    seeds of the original, so that its cells are the same. Adjusted p-values differ, since Holm's
    correction is then over one method. Of files elsewhere the last part is told: a page is for
    others, who could not follow such a path.
    """
    experiment, why = declared_analysis.experiment(layout)
    if experiment is None:
        return Recipes({}, missing=why)
    resolved = experiment.model_dump(mode="json")
    special = ("experiment", "methods", "analysis")
    common = {key: value for key, value in resolved.items() if key not in special}
    names = [DENSE, *(method.name for method in experiment.methods)]
    return Recipes({name: _recipe(experiment, name) for name in names}, _yaml(common))


def _recipe(experiment: Experiment, name: str) -> Recipe:
    known = {method.name: method for method in experiment.methods}
    beside = RANDOM if RANDOM in known else experiment.methods[0].name
    wanted = [beside] if name == DENSE else [name, *([RANDOM] if RANDOM in known else [])]
    methods = [known[method] for method in dict.fromkeys(wanted)]
    analysis = experiment.analysis.model_dump(mode="json")
    analysis["primary"] = [method for method in analysis["primary"] if method in wanted]
    title = f"{experiment.experiment}-{name}"[:LONGEST]
    own: dict[str, Any] = {
        "experiment": title,
        "methods": [method.model_dump(mode="json") for method in methods],
        "analysis": analysis,
    }
    if name == DENSE:
        about = "The dense baseline, which every grid trains once for each setting and seed."
    else:
        paper = known[name].paper
        about = f"{known[name].description} {f'Source: {paper}.' if paper else ''}".strip()
    return Recipe(f"{title}.yaml", _yaml(own), about)


def _yaml(value: dict[str, Any]) -> str:
    return yaml.safe_dump(private.told(value), sort_keys=False, allow_unicode=True, width=100)
