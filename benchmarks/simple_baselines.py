"""Errors of simple, well-known methods on the test splits of tasks: what a network must beat.

    PYTHONPATH=. python benchmarks/simple_baselines.py names hidden-markov
    PYTHONPATH=. python benchmarks/simple_baselines.py sst2 --path data/SST-2

Run by hand. The splits are those that ``prepare`` makes; nothing is chosen on validation.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rapidfuzz.distance.Levenshtein import distance
from scipy.ndimage import find_objects, gaussian_filter, label
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV, RidgeCV
from sklearn.naive_bayes import MultinomialNB
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from prunebench.experiment import config
from prunebench.experiment.settings import Task
from prunebench.tasks import sources
from prunebench.tasks.kinds.detection import MOST, average_precisions
from prunebench.tasks.prepare import check, split

Array = NDArray[Any]
Lines = Iterator[str]
PENALTIES = np.logspace(-2, 8, 21)


def text_classes(x: Array, y: Array, tx: Array, ty: Array, facts: dict[str, Any]) -> Lines:
    """Naive Bayes on n-grams of up to four characters or two words (Jurafsky & Martin, ch. 4)."""
    texts, test = (_texts(rows, facts["vocabulary"]) for rows in (x, tx))
    letters = max(len(token) for token in facts["vocabulary"][2:]) == 1
    if letters:
        grams = CountVectorizer(analyzer="char_wb", ngram_range=(1, 4))
        texts, test = (["".join(text) for text in part] for part in (texts, test))
    else:
        grams = CountVectorizer(analyzer=lambda text: [*text, *map(" ".join, pairwise(text))])
    bayes = MultinomialNB(alpha=0.3).fit(grams.fit_transform(texts), y)
    yield _classes("naive Bayes", bayes.predict(grams.transform(test)), ty)
    yield _classes("majority", np.full(len(ty), np.bincount(y).argmax()), ty)


def pixel_classes(x: Array, y: Array, tx: Array, ty: Array, facts: dict[str, Any]) -> Lines:
    """The nearest neighbour and a linear classifier of the pixels."""
    flat, test = (part.reshape(len(part), -1).astype(np.float64) for part in (x, tx))
    yield _classes("1-NN", KNeighborsClassifier(1).fit(flat, y).predict(test), ty)
    yield _classes("linear", RidgeClassifierCV(PENALTIES).fit(flat, y).predict(test), ty)
    yield _classes("majority", np.full(len(ty), np.bincount(y).argmax()), ty)


def feature_classes(x: Array, y: Array, tx: Array, ty: Array, facts: dict[str, Any]) -> Lines:
    """The nearest neighbour and logistic regression of standardized features."""
    for name, method in (
        ("1-NN", KNeighborsClassifier(1)),
        ("logistic", LogisticRegression(max_iter=1000)),
    ):
        found = make_pipeline(StandardScaler(), method).fit(x, y).predict(tx)
        yield _classes(name, found, ty)
    yield _classes("majority", np.full(len(ty), np.bincount(y).argmax()), ty)


def feature_values(x: Array, y: Array, tx: Array, ty: Array, facts: dict[str, Any]) -> Lines:
    """Ten nearest neighbours and ridge regression of standardized features."""
    for name, method in (("10-NN", KNeighborsRegressor(10)), ("ridge", RidgeCV(PENALTIES))):
        found = make_pipeline(StandardScaler(), method).fit(x, y).predict(tx)
        yield _values(name, found, ty, y)
    yield _values("mean", np.full(len(ty), y.mean()), ty, y)
    if "best_mse" in facts:
        yield f"best possible: {facts['best_mse'] / y.var():.4f} of the variance"


def pair_values(x: Array, y: Array, tx: Array, ty: Array, facts: dict[str, Any]) -> Lines:
    """Means, means of items, and tendencies of users and items (Koren 2009, formula 1)."""
    mean = float(y.mean())
    item, user = np.zeros(facts["items"]), np.zeros(facts["users"])
    yield _ratings("mean", np.full(len(ty), mean), ty, y, facts)
    for penalty, which in ((5.0, "item mean"), (10.0, "user and item tendencies")):
        rounds = 1 if which == "item mean" else 10
        for _ in range(rounds):
            item = _tendency(x[:, 1], y - mean - user[x[:, 0]], facts["items"], penalty)
            if rounds > 1:
                user = _tendency(x[:, 0], y - mean - item[x[:, 1]], facts["users"], penalty)
        yield _ratings(which, mean + user[tx[:, 0]] + item[tx[:, 1]], ty, y, facts)
    rest = y - mean - user[x[:, 0]] - item[x[:, 1]]
    users, items = _factors(x, rest, facts["users"], facts["items"])
    product = (users[tx[:, 0]] * items[tx[:, 1]]).sum(1)
    found = mean + user[tx[:, 0]] + item[tx[:, 1]] + product
    yield _ratings("four factors, least squares in turn", found, ty, y, facts)
    if "best_rmse" in facts:
        yield f"best possible: RMSE {facts['best_rmse']:.4f}"


def token_tokens(x: Array, y: Array, tx: Array, ty: Array, facts: dict[str, Any]) -> Lines:
    """The next token by the one before it, or the two before it (Shannon 1948)."""
    counted = ty != 0
    before = [np.pad(rows, ((0, 0), (1, 0)))[:, :-1] for rows in (x, tx)]
    yield f"commonest token: error {np.mean(ty[counted] != _commonest(y)):.4f}"
    single = _table([(int(a),) for a in x[y != 0]], y[y != 0])
    double = _table(list(zip(before[0][y != 0], x[y != 0], strict=True)), y[y != 0])
    found = np.array([_look(a, [single], y) for a in tx[counted]])
    yield f"bigrams: error {np.mean(found != ty[counted]):.4f}"
    pairs = zip(before[1][counted], tx[counted], strict=True)
    found = np.array([_look(pair, [double, single], y) for pair in pairs])
    yield f"trigrams: error {np.mean(found != ty[counted]):.4f}"
    if "best_error" in facts:
        yield f"best possible: error {facts['best_error']:.4f}, {facts['best_nll']:.4f} nats"


def pixel_tokens(x: Array, y: Array, tx: Array, ty: Array, facts: dict[str, Any]) -> Lines:
    """The commonest word alone; words cut apart at silence, each classified for itself."""
    yield _edits("one word", [[_commonest(y)]] * len(ty), ty)
    rows, test = ([_between_silences(image) for image in part] for part in (x, tx))
    frames = max(word.shape[1] for words in rows for word in words)
    said = [row[row != 0] for row in y]
    # where as many were cut as were said, each has its word
    pairs = [
        (_flat(cut, frames), word)
        for words, targets in zip(rows, said, strict=True)
        if len(words) == len(targets)
        for cut, word in zip(words, targets, strict=True)
    ]
    flat, classes = (np.array(part) for part in zip(*pairs, strict=True))
    for name, method in (
        ("1-NN", KNeighborsClassifier(1)),
        ("linear", RidgeClassifierCV(PENALTIES)),
    ):
        method.fit(flat, classes)
        heard = [method.predict([_flat(cut, frames) for cut in words]).tolist() for words in test]
        yield _edits(f"cut at silence, {name}", heard, ty)


def _between_silences(image: Array) -> list[Array]:
    """Return the parts [bands, frames, 1] of a spectrogram between columns without a sound."""
    sounding = np.flatnonzero(image.any((0, 2)))
    cuts = np.flatnonzero(np.diff(sounding) > 1) + 1
    return [image[:, part[0] : part[-1] + 1] for part in np.split(sounding, cuts)]


def _flat(word: Array, frames: int) -> Array:
    """Return a word's pixels [bands · frames], cut or padded with silence."""
    found = np.zeros((word.shape[0], frames))
    kept = word[:, :frames, 0]
    found[:, : kept.shape[1]] = kept
    return found.ravel()


def pixel_boxes(x: Array, y: Array, tx: Array, ty: Array, facts: dict[str, Any]) -> Lines:
    """Connected bright parts of an image, each classified by its pixels, or as none."""
    boxes_of_all = y[y[..., 4] >= 0]
    sides = boxes_of_all[:, 2:4] - boxes_of_all[:, :2]
    limits = sides.min(0), sides.max(0) + 2
    for threshold in (0.35, 0.45):
        crops, classes = [], []
        for image, boxes in zip(x, y, strict=True):
            there = boxes[boxes[:, 4] >= 0]
            for part in [*there[:, :4], *_bright(image, threshold, *limits)]:
                overlaps = [_overlap(part, box) for box in there]
                best = int(np.argmax(overlaps))
                crops.append(_crop(image, part))
                classes.append(int(there[best, 4]) if overlaps[best] >= 0.5 else -1)
        method = LogisticRegression(max_iter=2000).fit(np.array(crops), classes)
        found = np.zeros((len(tx), MOST, 6))
        found[..., 4:] = -1
        for row, image in zip(found, tx, strict=True):
            named = []
            for part in _bright(image, threshold, *limits):
                [shares] = method.predict_proba([_crop(image, part)])
                share, name = max(zip(shares[1:], method.classes_[1:], strict=True))
                named.append((*part, share, name))
            named = sorted(named, key=lambda box: -box[4])[:MOST]
            row[: len(named)] = np.array(named).reshape(-1, 6)
        error = 1 - (average_precisions(found, ty, [0.5])["map_50"] or 0.0)
        yield f"bright parts above {threshold:g}, linear: error {error:.4f}"


def _bright(image: Array, threshold: float, least: Array, most: Array) -> list[Array]:
    """Return the boxes around connected parts of an image whose sides training's boxes have."""
    smooth = gaussian_filter(image.mean(-1) / 255, 0.7)
    parts = find_objects(label(smooth > threshold, np.ones((3, 3)))[0])
    boxes = [np.array([p[1].start, p[0].start, p[1].stop, p[0].stop], float) for p in parts]
    return [b for b in boxes if np.all((b[2:] - b[:2] >= least) & (b[2:] - b[:2] <= most))]


def _crop(image: Array, box: Array) -> Array:
    """Return the pixels of a box, brought to 8 x 8."""
    x1, y1, x2, y2 = (int(edge) for edge in box)
    part = Image.fromarray(image[y1:y2, x1:x2].mean(-1).astype(np.uint8))
    return np.asarray(part.resize((8, 8), Image.Resampling.BILINEAR), float).ravel() / 255


def _overlap(one: Array, other: Array) -> float:
    """Return the intersection over the union of two boxes."""
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:4], other[2:4])
    shared = float(np.clip(high - low, 0, None).prod())
    areas = sum(float((box[2:4] - box[:2]).prod()) for box in (one, other))
    return shared / (areas - shared)


# (form of the inputs, targets) -> methods
METHODS: dict[tuple[str, str], Callable[..., Lines]] = {
    ("tokens", "classes"): text_classes,
    ("pixels", "classes"): pixel_classes,
    ("features", "classes"): feature_classes,
    ("features", "values"): feature_values,
    ("pairs", "values"): pair_values,
    ("tokens", "tokens"): token_tokens,
    ("pixels", "tokens"): pixel_tokens,
    ("pixels", "boxes"): pixel_boxes,
}


def _texts(rows: Array, vocabulary: tuple[str, ...]) -> list[list[str]]:
    return [[vocabulary[token] for token in row if token] for row in rows]


def _classes(name: str, found: Array, wanted: Array) -> str:
    return f"{name}: error {np.mean(found != wanted):.4f}"


def _values(name: str, found: Array, wanted: Array, train: Array) -> str:
    squared = float(np.mean((found - wanted) ** 2))
    return f"{name}: error {min(1.0, squared / train.var()):.4f}, RMSE {squared**0.5:.4f}"


def _edits(name: str, heard: list[list[int]], targets: Array) -> str:
    """Return the mean of edits by length of the transcript, at most 1, as the kind has it."""
    said = [row[row != 0].tolist() for row in targets]
    shares = [min(1.0, distance(a, b) / len(b)) for a, b in zip(heard, said, strict=True)]
    return f"{name}: error {np.mean(shares):.4f}"


def _ratings(name: str, found: Array, wanted: Array, train: Array, facts: dict[str, Any]) -> str:
    shown = np.clip(found, facts["lowest"], facts["highest"])
    rmse = float(np.sqrt(np.mean((shown - wanted) ** 2)))
    share = rmse / (facts["highest"] - facts["lowest"])
    return f"{name}: RMSE {rmse:.4f}, {share:.4f} of the range"


def _tendency(who: Array, rest: Array, count: int, penalty: float) -> Array:
    """Return what each one's ratings are above the rest, on the average, shrunk towards 0."""
    total = np.bincount(who, rest, count)
    return total / (np.bincount(who, minlength=count) + penalty)


def _factors(pairs: Array, rest: Array, users: int, items: int) -> tuple[Array, Array]:
    """Return four factors of each user and item: ridge regressions in turn (Zhou 2008)."""
    rank, penalty = 4, 8.0
    factors = [np.random.default_rng(0).normal(0, 0.1, (count, rank)) for count in (users, items)]
    for turn in range(20):
        own, other = turn % 2, 1 - turn % 2
        seen = factors[other][pairs[:, other]]
        for one in range(len(factors[own])):
            mine = pairs[:, own] == one
            gram = seen[mine].T @ seen[mine] + penalty * np.eye(rank)
            factors[own][one] = np.linalg.solve(gram, seen[mine].T @ rest[mine])
    return factors[0], factors[1]


def _commonest(targets: Array) -> int:
    return int(np.bincount(targets[targets != 0]).argmax())


def _table(contexts: list[tuple[int, ...]], following: Array) -> dict[tuple[int, ...], int]:
    """Return what follows each context most often."""
    counts: dict[tuple[int, ...], Counter[int]] = {}
    for context, token in zip(contexts, following, strict=True):
        counts.setdefault(tuple(map(int, context)), Counter())[int(token)] += 1
    return {context: counter.most_common(1)[0][0] for context, counter in counts.items()}


def _look(context: Any, tables: list[dict[tuple[int, ...], int]], targets: Array) -> int:
    """Return what follows a context by the first table that has it, the last tokens of it."""
    whole = tuple(map(int, np.atleast_1d(context)))
    for table in tables:
        size = len(next(iter(table)))
        if whole[-size:] in table:
            return table[whole[-size:]]
    return 0


def _forms(inputs: Array, targets: Array) -> tuple[str, str]:
    form = {np.dtype(np.uint8): "pixels", np.dtype(np.float32): "features"}.get(inputs.dtype)
    form = form or ("pairs" if inputs.shape[1] == 2 and targets.ndim == 1 else "tokens")
    if targets.ndim == 3:
        return form, "boxes"
    if targets.ndim == 2:
        return form, "tokens"
    return form, "classes" if targets.dtype == np.int64 else "values"


def report(task: Task, folder: Path) -> None:
    """Print the errors of the methods for one task."""
    start = time.perf_counter()
    raw = sources.reader(task.source)(task, folder)
    check(raw, task)
    parts = split(raw, task)
    (x, y), (tx, ty) = (
        (origin.inputs[chosen], origin.targets[chosen])
        for origin, chosen in (parts["train"], parts["test"])
    )
    sizes = ", ".join(f"{len(chosen):,} {name}" for name, (_, chosen) in parts.items())
    shape = list(x.shape[1:])
    print(f"{task.name}: {sizes}, {shape} ({time.perf_counter() - start:.0f} s to read)")
    for line in METHODS[_forms(x, y)](x, y, tx, ty, dict(raw.facts)):
        print(f"  {line}", flush=True)


def main() -> None:
    """Report on the tasks that are named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("tasks", nargs="+", help="presets of tasks")
    parser.add_argument("--path", help="where the data of the task lie")
    parser.add_argument("--raw", type=Path, default=Path("data/raw"), help="what was downloaded")
    for part in ("train", "val", "test"):
        parser.add_argument(f"--{part}", type=int, help="samples; default: the preset's")
    asked = parser.parse_args()
    for name in asked.tasks:
        own = {"path": asked.path, "train": asked.train, "val": asked.val, "test": asked.test}
        changed = {key: value for key, value in own.items() if value is not None}
        task = Task(**config.presets("tasks")[name] | changed)
        report(task, asked.raw / task.source)


if __name__ == "__main__":
    main()
