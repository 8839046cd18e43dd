"""Read the folder of a submission: its form, its configuration and its table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prunebench.errors import PrunebenchError, suggest
from prunebench.experiment import config
from prunebench.experiment.settings import Method, Name
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.experiment.validation import Settings, validated
from prunebench.reproduce.submission.plugins import localized, renamed
from prunebench.reproduce.verify.stored_experiment import Stored
from prunebench.reproduce.verify.stored_experiment import load as load_stored
from prunebench.storage.layout import Layout

FORM = "submission.yaml"


class Form(Settings):
    """The content of ``submission.yaml``."""

    name: Name
    """Name of the submission."""
    method: Name
    """The method of config.json that is submitted."""
    description: str = ""
    """One sentence on what the method does."""
    paper: str = ""
    """Where the method is described, e.g. Han 2015."""
    contact: str = ""
    """Whom to ask; public."""


@dataclass(frozen=True)
class Submission:
    """A submission, its form, configuration and table read and checked."""

    folder: Path
    form: Form
    stored: Stored  # its own parts are named by their path in the folder
    written: dict[str, str]  # such a name -> the name in config.json

    @property
    def method(self) -> Method:
        """The method that is submitted."""
        methods = {method.name: method for method in self.stored.experiment.methods}
        return methods[self.form.method]

    def as_written(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Return a method's settings with the names of parts that its author used.

        The records hold the hash of these.
        """
        return {
            key: self.as_written(value) if isinstance(value, dict)
            else self.written.get(value, value) if key == "name" and isinstance(value, str)
            else value
            for key, value in settings.items()
        }  # fmt: skip


def load(folder: Path) -> Submission:
    """Read a submission.

    Raises:
        PrunebenchError: a file is missing or wrong.
    """
    if not folder.is_dir():
        raise PrunebenchError(f"{folder} is no folder; a submission has {FORM}, config.json, …")
    path = folder / FORM
    form: Form = validated(Form, read_yaml(path), str(path))
    layout, written = Layout(folder), {}

    def local(name: str) -> str:
        found = localized(name, folder)
        written[found] = name
        return found

    given = read_yaml(layout.config)
    given = renamed(given, local) if isinstance(given, dict) else given
    experiment = config.parse(given, str(layout.config))
    names = [method.name for method in experiment.methods]
    if form.method not in names:
        raise PrunebenchError(
            f"{path}: config.json has no method {form.method!r}{suggest(form.method, names)}"
        )
    return Submission(folder, form, load_stored(folder, experiment), written)
