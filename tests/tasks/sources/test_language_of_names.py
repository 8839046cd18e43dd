"""Names of the CLDR and their languages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from prunebench.tasks.sources.language_of_names import LANGUAGES, names_in, read

from ..conftest import MakeTask


def test_every_name_stands_in_one_language_only(make_task: MakeTask) -> None:
    raw = read(make_task(tokens="characters"), Path("unused"))
    vocabulary = raw.facts["vocabulary"]
    names = ["".join(vocabulary[token] for token in row) for row in raw.train.inputs]
    assert raw.names == LANGUAGES
    assert len(set(names)) == len(names) > 10_000
    assert names == sorted(names)
    found = {language: names_in(language) for language in LANGUAGES}
    for name, label in list(zip(names, raw.train.targets, strict=True))[::97]:
        assert [language for language in LANGUAGES if name in found[language]] == [LANGUAGES[label]]
    assert "Tyskland" not in names  # in Danish, Swedish and Norwegian
    assert LANGUAGES[raw.train.targets[names.index("Alemanya")]] == "ca"
    assert np.bincount(raw.train.targets).min() > 300


@pytest.mark.slow
@pytest.mark.parametrize(("count", "error"), [(500, 0.57), (2000, 0.44), (8726, 0.36)])
def test_naive_bayes_leaves_room_for_better_networks(
    make_task: MakeTask, count: int, error: float
) -> None:
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.naive_bayes import MultinomialNB

    raw = read(make_task(tokens="characters"), Path("unused"))
    vocabulary = raw.facts["vocabulary"]
    names = ["".join(vocabulary[token] for token in row) for row in raw.train.inputs]
    order = np.random.default_rng(0).permutation(len(names))
    train, test = order[2000 : 2000 + count], order[:2000]
    grams = CountVectorizer(analyzer="char_wb", ngram_range=(1, 4))
    bayes = MultinomialNB(alpha=0.3)
    bayes.fit(grams.fit_transform([names[i] for i in train]), raw.train.targets[train])
    right = bayes.score(grams.transform([names[i] for i in test]), raw.train.targets[test])
    assert 1 - right == pytest.approx(error, abs=0.05)
