"""Language of names (embedded): in which of 16 close languages is a name written?

The names of languages, countries, scripts, currencies and cities in the Unicode CLDR, as the
package ``babel`` ships them; only those that stand in one of the 16 languages alone. Small, and
with room to overfit: for trying and for tests, not for a paper. The same version of ``babel``
gives the same names. Licence of the CLDR: Unicode License v3.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from prunebench.tasks.raw import Raw
from prunebench.tasks.tokens import classified

if TYPE_CHECKING:
    from prunebench.experiment.settings import Task

LANGUAGES = (
    "ca", "cs", "da", "de", "es", "fr", "gl", "hr", "it", "nb", "nl", "pl", "pt", "ro", "sk", "sv",
)  # fmt: skip


def read(task: Task, folder: Path) -> Raw:
    """Return all names as one training split, in alphabetical order. Read no file."""
    found = {language: names_in(language) for language in LANGUAGES}
    counts = Counter(name for names in found.values() for name in names)
    pairs = sorted(
        (name, label)
        for label, names in enumerate(found.values())
        for name in names
        if counts[name] == 1
    )
    texts = [name for name, _ in pairs]
    classes = np.array([label for _, label in pairs], np.int64)
    splits, facts = classified({"train": (texts, classes)}, task)
    return Raw(splits["train"], names=LANGUAGES, facts=facts, item="name")


def names_in(language: str) -> set[str]:
    """Return the names that the CLDR has in a language."""
    from babel import Locale

    locale = Locale.parse(language)
    cities = (zone.get("city") for zone in locale.time_zones.values())
    tables = (locale.languages, locale.territories, locale.scripts, locale.currencies)
    names = {str(name) for table in tables for name in table.values()}
    return {name for name in names.union(city for city in cities if city) if name.strip()}
