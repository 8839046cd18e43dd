"""Tables of scikit-learn, and California's houses from a file of the same layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from prunebench.errors import PrunebenchError
from prunebench.tasks.sources import scikit_learn
from prunebench.tasks.sources.scikit_learn import check, download, house_features, read

from ..conftest import MakeTask


def test_breast_cancer(make_task: MakeTask) -> None:
    raw = read(make_task(source="scikit-learn", dataset="breast-cancer"), Path("unused"))
    assert raw.train.inputs.shape == (569, 30)
    assert raw.train.inputs.dtype == np.float32
    assert raw.train.targets.dtype == np.int64
    assert raw.names == ("malignant", "benign")
    assert np.bincount(raw.train.targets).tolist() == [212, 357]


def test_diabetes(make_task: MakeTask) -> None:
    raw = read(make_task(source="scikit-learn", dataset="diabetes"), Path("unused"))
    assert raw.train.inputs.shape == (442, 10)
    assert raw.train.targets.dtype == np.float32
    assert np.array_equal(raw.train.targets, datasets.load_diabetes().target)
    assert raw.names is None


def test_friedman1_is_its_formula_with_noise_of_variance_1(make_task: MakeTask) -> None:
    raw = read(make_task(source="scikit-learn", dataset="friedman1"), Path("unused"))
    x = raw.train.inputs.T.astype(float)
    known = 10 * np.sin(np.pi * x[0] * x[1]) + 20 * (x[2] - 0.5) ** 2 + 10 * x[3] + 5 * x[4]
    assert np.mean((raw.train.targets - known) ** 2) == pytest.approx(raw.facts["best_mse"], 0.1)


def houses(count: int = 20_640) -> np.ndarray:
    draws = np.random.default_rng(0)
    return np.round(draws.uniform(1, 1000, (count, 9)), 2)


def test_features_of_houses_are_scikit_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # scikit-learn's own reader, on an archive in place of its server's
    import tarfile

    np.savetxt(tmp_path / "cal_housing.data", houses(), delimiter=",")
    archive = tmp_path / "cal_housing.tgz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(tmp_path / "cal_housing.data", "CaliforniaHousing/cal_housing.data")
    import sklearn.datasets._california_housing as theirs

    monkeypatch.setattr(theirs, "_fetch_remote", lambda *_, **__: str(archive))
    monkeypatch.setattr(theirs, "remove", lambda _: None)
    bunch = datasets.fetch_california_housing(data_home=str(tmp_path / "home"))
    features, values = house_features(houses())
    assert np.allclose(features, bunch.data, rtol=1e-6)
    assert np.allclose(values, bunch.target, rtol=1e-6)
    assert (scikit_learn.HOUSES.url, scikit_learn.HOUSES.checksum) == (
        theirs.ARCHIVE.url,
        theirs.ARCHIVE.checksum,
    )


def test_houses_from_a_path(tmp_path: Path, make_task: MakeTask) -> None:
    np.savetxt(tmp_path / "cal_housing.data", houses(), delimiter=",")
    task = make_task(source="scikit-learn", dataset="california-housing", path=str(tmp_path))
    download(task, tmp_path / "raw")
    raw = read(task, tmp_path / "raw")
    assert raw.train.inputs.shape == (20_640, 8)
    assert np.array_equal(raw.train.targets, house_features(houses())[1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is no folder with cal_housing.data"),
        ("1,2,3\n", "holds 3 numbers, not 20640 × 9"),
        ("a,b\n", "is damaged: could not convert"),
        ("1,2\n1\n", "is damaged: "),
    ],
)
def test_broken_houses(
    tmp_path: Path, make_task: MakeTask, content: str | None, message: str
) -> None:
    if content is not None:
        (tmp_path / "cal_housing.data").write_text(content)
    task = make_task(source="scikit-learn", dataset="california-housing", path=str(tmp_path))
    with pytest.raises(PrunebenchError, match=message) as caught:
        read(task, tmp_path)
    assert "\n" not in str(caught.value)


def test_an_unknown_table(make_task: MakeTask) -> None:
    with pytest.raises(PrunebenchError, match="unknown dataset 'diabetis'; did you mean 'diabet"):
        check(make_task(source="scikit-learn", dataset="diabetis"))
