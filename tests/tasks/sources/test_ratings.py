"""Ratings: MovieLens's files and tables of one's own, whole and broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prunebench.errors import PrunebenchError
from prunebench.tasks.sources import ratings
from prunebench.tasks.sources.ratings import check, read

from ..conftest import MakeTask


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets of three ratings."""
    sets = {name: replace(known, ratings=3) for name, known in ratings.DATASETS.items()}
    monkeypatch.setattr(ratings, "DATASETS", sets)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("dataset", "file", "delimiter"), [("ml-100k", "u.data", "\t"), ("ml-1m", "ratings.dat", "::")]
)
@pytest.mark.parametrize("inner", [".", "inner"])  # as the archive has it
def test_movielens(
    tmp_path: Path, make_task: MakeTask, dataset: str, file: str, delimiter: str, inner: str
) -> None:
    rows = [("10", "7", "5", "881250949"), ("9", "7", "1", "881250950"), ("10", "30", "3", "8")]
    (tmp_path / inner).mkdir(exist_ok=True)
    (tmp_path / inner / file).write_text("".join(delimiter.join(row) + "\n" for row in rows))
    raw = read(make_task(source="ratings", dataset=dataset, path=str(tmp_path)), tmp_path)
    assert raw.train.inputs.tolist() == [[1, 0], [0, 0], [1, 1]]  # 9 comes before 10
    assert raw.train.inputs.dtype == np.int32
    assert raw.train.targets.tolist() == [5, 1, 3]
    assert raw.facts == {"users": 2, "items": 2, "lowest": 1.0, "highest": 5.0}


def test_a_table(tmp_path: Path, make_task: MakeTask) -> None:
    path = tmp_path / "a.csv"
    path.write_text("item,user,rating\nsoup,ann,0.5\nbread,bob,4\nbread,ann,2\n")
    raw = read(make_task(source="ratings", path=str(path)), tmp_path)
    assert raw.train.inputs.tolist() == [[0, 1], [1, 0], [0, 0]]  # ann, bob; bread, soup
    assert raw.facts == {"users": 2, "items": 2, "lowest": 0.5, "highest": 4.0}


def table(tmp_path: Path, *ratings: float) -> Path:
    """A table in which a user gives these ratings to as many items."""
    path = tmp_path / "a.csv"
    rows = [f"ann,{item},{rating}" for item, rating in enumerate(ratings)]
    path.write_text("\n".join(["user,item,rating", *rows]) + "\n")
    return path


def test_the_range_that_a_table_may_have(tmp_path: Path, make_task: MakeTask) -> None:
    path = str(table(tmp_path, 4, 2, 5, 3))
    raw = read(make_task(source="ratings", path=path, range=[0, 5]), tmp_path)
    assert (raw.facts["lowest"], raw.facts["highest"]) == (0.0, 5.0)
    with pytest.raises(PrunebenchError, match=r"a\.csv, line 4: rating 5 is out of range: 1 to 4"):
        read(make_task(source="ratings", path=path, range=[1, 4]), tmp_path)


@pytest.mark.parametrize(
    ("ratings", "line", "last", "others"),
    [
        ([4, 2, 500, 5, 1], 4, "500", "1 to 5"),
        ([4, 2, 5, 1, 3, 55], 7, "55", "1 to 5"),
        ([-999, 2, 5, -999, 4.5], 2, "-999", "2 to 5"),
        ([99, 1, 2, 3, 4, 5, 99, 99, 99], 2, "99", "1 to 5"),  # many that are not rated
    ],
)
def test_a_rating_far_from_all_others(
    tmp_path: Path, make_task: MakeTask, ratings: list[float], line: int, last: str, others: str
) -> None:
    path = table(tmp_path, *ratings)
    with pytest.raises(PrunebenchError) as caught:
        read(make_task(source="ratings", path=str(path)), tmp_path)
    whole = f"range: [{min(ratings):g}, {max(ratings):g}]"
    assert str(caught.value) == (
        f"{path}, line {line}: rating {last} is far out of the range of all others, {others}; mend"
        f" it, or say which there may be: {whole}"
    )
    # whoever says so is believed
    said = make_task(source="ratings", path=str(path), range=[min(ratings), max(ratings)])
    assert read(said, tmp_path).train.targets.tolist() == ratings


@pytest.mark.parametrize(
    "ratings", [[1, 10, 2, 3, 9], [5, 5, 1, 5], [1, 2, 4, 8, 16, 32, 64], [0.5, 5, 100]]
)
def test_ratings_of_any_scale(tmp_path: Path, make_task: MakeTask, ratings: list[float]) -> None:
    raw = read(make_task(source="ratings", path=str(table(tmp_path, *ratings))), tmp_path)
    assert (raw.facts["lowest"], raw.facts["highest"]) == (min(ratings), max(ratings))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"source": "table"}, "range: is for a table of source ratings, not table"),
        ({"source": "ratings", "dataset": "ml-1m"}, "range: dataset ml-1m has its own"),
        ({"source": "ratings", "range": [5, 1]}, "the lowest rating comes first"),
        ({"source": "ratings", "range": [5]}, "range"),
    ],
)
def test_ranges_that_say_nothing(
    make_task: MakeTask, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make_task(**{"path": "a.csv", "range": [1, 5], **settings})


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "1\t1\t5\t0\n1\t2\t6\t0\n2\t1\t1\t0\n",
            "u.data, line 2: rating 6 is out of range: 1 to 5",
        ),
        (
            "1\t1\t5\t0\n1\t2\t0\t0\n2\t1\t1\t0\n",
            "u.data, line 2: rating 0 is out of range: 1 to 5",
        ),
        ("1\t1\t5\t0\n1\t2\tx\t0\n2\t1\t1\t0\n", "u.data, line 2: rating is 'x', no number"),
        ("1\t1\t5\t0\n1\t2\tnan\t0\n2\t1\t1\t0\n", "u.data, line 2: rating is nan, no finite"),
        ("1\t1\t5\t0\n1\t1\t4\t0\n2\t1\t1\t0\n", "u.data, line 2: user 1 rates item 1 for the sec"),
        ("1\t1\t5\t0\n1\t2\t4\n2\t1\t1\t0\n", "u.data, line 2: 3 fields; user, item, rating and"),
        ("1\t1\t5\t0\n", "u.data holds 1 ratings, not 3: delete it and get it again"),
        ("1\t1\t5\t0\n \t2\t4\t0\n2\t1\t1\t0\n", "u.data, line 2: user is ' '"),
        ("1\t1\t5\t0\n1\t2\t5\t0\n2\t1\t5\t0\n", "u.data: all ratings are 5: nothing can be"),
    ],
)
def test_broken_files(tmp_path: Path, make_task: MakeTask, content: str, message: str) -> None:
    (tmp_path / "u.data").write_text(content)
    with pytest.raises(PrunebenchError) as caught:
        read(make_task(source="ratings", dataset="ml-100k", path=str(tmp_path)), tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/{message}")


def test_nothing_there(tmp_path: Path, make_task: MakeTask) -> None:
    with pytest.raises(PrunebenchError, match=r"holds no u\.data"):
        read(make_task(source="ratings", dataset="ml-100k", path=str(tmp_path)), tmp_path)
    with pytest.raises(PrunebenchError, match="unknown dataset 'ml-10k'; did you mean 'ml-100k'"):
        check(make_task(source="ratings", dataset="ml-10k"))
    with pytest.raises(PrunebenchError, match="needs path: a table"):
        check(make_task(source="ratings"))


def test_the_real_one(make_task: MakeTask, shared_data: Path) -> None:
    task = make_task(source="ratings", dataset="ml-100k", path=str(shared_data / "ml-100k"))
    raw = read(task, shared_data)
    assert (raw.facts["users"], raw.facts["items"]) == (943, 1682)
    # the counts of 1 to 5 stars in the README of the set's authors' paper
    assert np.bincount(raw.train.targets.astype(int)).tolist() == [
        0, 6110, 11_370, 27_145, 34_174, 21_201,
    ]  # fmt: skip
    assert raw.train.inputs[0].tolist() == [195, 241]  # user 196, film 242
