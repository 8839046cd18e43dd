"""What names a result: settings, code, and the seeds drawn from it."""

from __future__ import annotations

from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prunebench.errors import PrunebenchError
from prunebench.experiment import code_identity, sources
from prunebench.experiment.code_identity import code_hash, with_helpers
from prunebench.storage.hashing import canonical, derive_seed, digest
from prunebench.storage.layout import STEPS

CODE = '''
"""A module."""
import math

RATE = 1


class A:
    """A class."""

    def f(self, x: int = 1) -> float:
        """A method."""
        # a comment
        return math.sin(x) + RATE
'''


def hash_of(folder: Path, text: str) -> str:
    path = folder / f"{abs(hash(text))}" / "f" / "code.py"  # what is hashed is cached by path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return code_hash([path])


# -------------------------------------------------------------------------------- settings


def test_the_same_settings_are_the_same_text() -> None:
    assert canonical({"b": 1, "a": [1, None, "ü"]}) == '{"a":[1,null,"\\u00fc"],"b":1}'
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest([1, 2]) != digest([2, 1])
    assert digest(1) != digest("1")
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical(float("nan"))


# ----------------------------------------------------------------------------------- seeds


def test_seeds_never_change() -> None:
    """A change here would change every result that was ever published: do not mend the numbers."""
    assert derive_seed("init", "digits", "clean", "test_resnet", 0) == 1283468485916344694
    assert derive_seed("order", "digits", "clean", "test_resnet", 0) == 6319247476444507885
    assert derive_seed("curve", "digits", "noisy-40", "seed-cnn", 2, "imp") == 9114597146845641273


_PARTS = st.lists(st.text(max_size=4) | st.integers(-3, 3), max_size=4).map(tuple)


@given(_PARTS, _PARTS)
def test_seeds_of_different_draws_differ(one: tuple, other: tuple) -> None:
    assert 0 <= derive_seed(*one) < 2**63
    assert (derive_seed(*one) == derive_seed(*other)) == (canonical(one) == canonical(other))


def test_seeds_of_a_grid_differ() -> None:
    seeds = {
        derive_seed(what, task, regime, model, seed)
        for what in ("init", "order", "curve")
        for task in ("a", "b")
        for regime in ("clean", "noisy")
        for model in ("m", "n")
        for seed in range(100)
    }
    assert len(seeds) == 3 * 2 * 2 * 2 * 100
    assert derive_seed("ab", "c") != derive_seed("a", "bc")


# ------------------------------------------------------------------------------------ code


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# a comment", "# another"),
        ("        # a comment\n", ""),
        ('"""A module."""\n', ""),
        ('"""A class."""', '"""Another."""'),
        ('        """A method."""\n', ""),
        ("x: int = 1", "x: int=1"),
        ("return math.sin(x) + RATE", "return (math.sin(x)\n                + RATE)"),
        ("RATE = 1\n\n\n", "RATE = 1\n"),
    ],
)
def test_comments_docstrings_and_layout_do_not_count(
    tmp_path: Path, before: str, after: str
) -> None:
    assert before in CODE
    assert hash_of(tmp_path, CODE.replace(before, after)) == hash_of(tmp_path, CODE)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("RATE = 1", "RATE = 2"),
        ("RATE = 1", "RATE = 1.0"),
        ("RATE = 1", "RATE = True"),
        ("x: int = 1", "x: int = 2"),
        ("x: int", "x: float"),
        ("math.sin", "math.cos"),
        ("+ RATE", "- RATE"),
        ("RATE", "RATES"),
        ('        """A method."""\n', '        """A method."""\n        "a second text"\n'),
        ("class A:", "class A(dict):"),
        ("    def f", "    @staticmethod\n    def f"),
    ],
)
def test_everything_else_counts(tmp_path: Path, before: str, after: str) -> None:
    assert before in CODE
    assert hash_of(tmp_path, CODE.replace(before, after)) != hash_of(tmp_path, CODE)


def test_a_body_of_a_docstring_alone_is_an_empty_one(tmp_path: Path) -> None:
    assert hash_of(tmp_path, 'def f():\n "x"') == hash_of(tmp_path, "def f():\n pass")


def test_a_users_file_is_the_same_in_another_folder(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "mine.py" for folder in ("a", "b/c", "d")]
    for path, text in zip(paths, (CODE, CODE, "x = 1\n"), strict=True):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    one, same, other = (code_hash([path]) for path in paths)
    assert one == same != other


def test_files_of_one_name_in_different_folders_all_count(tmp_path: Path) -> None:
    paths = [tmp_path / folder / "same" / "part.py" for folder in ("x", "y", "z")]
    for path, text in zip(paths, ("a = 1", "a = 2", "a = 3"), strict=True):
        path.parent.mkdir(parents=True)
        path.write_text(text)
    pairs = {code_hash([paths[0], path]) for path in paths}
    assert len(pairs) == 3
    assert code_hash(paths[:2]) == code_hash([paths[1], paths[0], paths[1]])


def test_where_the_package_stands_does_not_count(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "pruning").mkdir(parents=True)
        (tmp_path / folder / "pruning" / "a.py").write_text(CODE)
    one, two = (tmp_path / folder / "pruning" / "a.py" for folder in ("one", "two"))
    assert code_hash([one]) == code_hash([two])


def test_helpers_of_a_file_count_with_it(tmp_path: Path) -> None:
    for name, text in {
        "part": "from .near import f\nfrom . import far\nimport os",
        "near": "import nearer\nimport part",
        "nearer": "x = 1",
        "far": "import none_such",
        "other": "x = 1",
    }.items():
        (tmp_path / f"{name}.py").write_text(text)
    found = with_helpers([tmp_path / "part.py"])
    assert [path.stem for path in found] == ["part", "far", "near", "nearer"]
    pruning = sources.PACKAGE / "pruning"
    assert pruning / "masks.py" in with_helpers([pruning / "curve.py"])


def _write(folder: Path, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_helpers_in_packages_beside_a_file_count_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(
        tmp_path,
        {
            "criteria/part.py": "from helpers.norms import norm\nimport numpy, torch.nn\n"
            "from prunebench.experiment.registry import criterion\nfrom shared import tools",
            "criteria/helpers/__init__.py": "",
            "criteria/helpers/norms.py": "from ..other import f\nfrom .deep import g",
            "criteria/helpers/deep/__init__.py": "from . import deepest",
            "criteria/helpers/deep/deepest.py": "x = 1",
            "criteria/helpers/unused.py": "x = 1",
            "criteria/other.py": "x = 1",
            "shared/tools.py": "x = 1",
        },
    )
    monkeypatch.chdir(tmp_path)  # from where ``python -m prunebench`` finds what it imports
    found = {path.relative_to(tmp_path) for path in with_helpers([tmp_path / "criteria/part.py"])}
    assert {path.as_posix() for path in found} == {
        "criteria/part.py", "criteria/helpers/__init__.py", "criteria/helpers/norms.py",
        "criteria/helpers/deep/__init__.py", "criteria/helpers/deep/deepest.py",
        "criteria/other.py", "shared/tools.py",
    }  # fmt: skip


def test_a_package_follows_itself_and_no_other_that_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _write(
        tmp_path,
        {
            "mine/__init__.py": "",
            "mine/score.py": "import mine.norms\nimport others",
            "mine/norms.py": "x = 1",
            "others/__init__.py": "x = 1",
        },
    )
    monkeypatch.setattr(code_identity, "_INSTALLED", {tmp_path})
    found = with_helpers([tmp_path / "mine/score.py"])
    assert {path.name for path in found} == {"score.py", "__init__.py", "norms.py"}
    assert tmp_path / "others/__init__.py" not in found


def test_a_helper_that_is_no_python_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, {"part.py": "import broken", "broken.py": "def f(:"})
    with pytest.raises(PrunebenchError, match=r"broken\.py: not valid Python"):
        with_helpers([tmp_path / "part.py"])


def test_the_sources_that_count_exist() -> None:
    for place in {*sources.BASELINE, *sources.PRUNING, *sum(sources.OUTPUTS.values(), ())}:
        assert sources.paths([place]), place
    assert set(sources.OUTPUTS) < set(STEPS)
    assert sources.PACKAGE / "evaluation" / "harm.py" in sources.paths(sources.MEASURES)
    assert sources.PACKAGE / "statistics" / "hypotheses" / "phases.py" in sources.paths(
        ["statistics"]
    )


# ----------------------------------------------------------- logical names, and equal code


@pytest.fixture
def own_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, dict], str]:
    """Hashes a file of a package of its own: path in it, its text, what is declared of it."""

    def hashed(name: str, text: str, entries: dict[str, dict[str, str]]) -> str:
        root = tmp_path / str(abs(hash((name, text, str(entries))))) / "prunebench"
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
        monkeypatch.setattr(code_identity, "PACKAGE", root)
        monkeypatch.setattr(code_identity, "declared", lambda: entries)
        return code_hash([root / name])

    return hashed


def test_a_file_of_the_package_may_move(own_package: Callable[..., str]) -> None:
    before = own_package("work/a.py", f"from prunebench.b import f\n{CODE}", {})
    entries = {"runner/deep/c.py": {"name": "work/a.py"}}
    assert (
        own_package("runner/deep/c.py", f"from prunebench.x.y import f\n{CODE}", entries) == before
    )
    assert own_package("runner/deep/c.py", f"from prunebench.x.y import f\n{CODE}", {}) != before
    assert own_package("work/a.py", f"from prunebench.b import g as f\n{CODE}", {}) != before
    assert own_package("work/a.py", f"from other.b import f\n{CODE}", {}) != before


def test_an_edit_that_is_declared_to_change_nothing_keeps_the_hash(
    own_package: Callable[..., str], tmp_path: Path
) -> None:
    after = CODE.replace("math.sin(x) + RATE", "RATE + math.sin(x)")
    (tmp_path / "a.py").write_text(CODE)
    (tmp_path / "b.py").write_text(after)
    one, two = (code_identity.code_of_file(tmp_path / name) for name in ("a.py", "b.py"))
    before = own_package("work/a.py", CODE, {})
    entries = {"work/a.py": {"code": two, "counts_as": one}}
    assert own_package("work/a.py", after, {}) != before
    assert own_package("work/a.py", after, entries) == before
    edited = after.replace("RATE = 1", "RATE = 2")
    assert own_package("work/a.py", edited, entries) == own_package("work/a.py", edited, {})


def test_what_is_declared_of_the_sources_holds() -> None:
    package = sources.PACKAGE
    declared = code_identity.declared()
    stale = [
        name
        for name, entry in declared.items()
        if code_identity.code_of_file(package / name) != entry.get("code", "")
        and entry.keys() != {"name"}
    ]
    assert not stale, "edited since: say that their bits are the same, or remove code and counts_as"
    names = [entry["name"] for entry in declared.values() if "name" in entry]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    "line",
    [
        "from lib import helper", "from lib.helper import f", "import lib.helper as h",
        "from lib import *\nimport lib.helper", "def f():\n    from lib.helper import g",
        "try:\n    import lib.helper\nexcept ImportError:\n    pass",
    ],
)  # fmt: skip
@pytest.mark.parametrize("init", [True, False])
def test_a_helper_in_a_folder_beside_a_part_counts_however_it_is_imported(
    tmp_path: Path, line: str, init: bool
) -> None:
    """Else an edit of it would change results and not their names."""
    _write(tmp_path, {"part.py": line, "lib/helper.py": "x = 1"})
    if init:
        _write(tmp_path, {"lib/__init__.py": ""})
    found = with_helpers([tmp_path / "part.py"])
    assert tmp_path / "lib" / "helper.py" in found
    before = code_identity.code_hash(found)
    _write(tmp_path, {"lib/helper.py": "x = 2"})
    code_identity._named_code.cache_clear()
    code_identity._code_hash.cache_clear()
    assert code_identity.code_hash(found) != before


@pytest.mark.parametrize(
    ("line", "helper"),
    [
        ('import importlib\nimportlib.import_module("helper")', "helper.py"),
        ('from importlib import import_module as i, import_module\nimport_module("lib.helper")',
         "lib/helper.py"),
        ('__import__("helper")', "helper.py"),
        ('spec = spec_from_file_location("x", Path(__file__).with_name("helper.py"))', "helper.py"),
        ('exec(open("lib/helper.py").read())', "lib/helper.py"),
        ('import_module(".helper", "lib")', "lib/helper.py"),
        ('import_module(name="helper")', "helper.py"),
        ('def load(name):\n    return import_module("lib." + name)', "lib/helper.py"),
        ('__import__("lib", fromlist=["helper"])', "lib/helper.py"),
        ('runpy.run_module("helper")', "helper.py"),
        ('pkgutil.resolve_name("lib.helper:x")', "lib/helper.py"),
        ('import sys\nsys.path.insert(0, "lib")\nimport helper', "lib/helper.py"),
        ('import sys\nsys.path.append(str(Path(__file__).parents[1]))\nimport helper',
         "../helper.py"),
        ('from sys import path\npath.append(f"{HERE}/../lib")\nimport helper', "../lib/helper.py"),
        ('import site\nsite.addsitedir("a/b")\nfrom helper import x', "a/b/helper.py"),
        ("import helper", f"helper{EXTENSION_SUFFIXES[0]}"),
        ("from lib import helper", f"lib/helper{EXTENSION_SUFFIXES[-1]}"),
        ("import helper", "helper.pyc"),
        ("import helper", "../elsewhere/helper.py"),
        ("from lib.helper import f", "../elsewhere/lib/helper.py"),
    ],
)  # fmt: skip
def test_a_helper_counts_however_python_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, helper: str
) -> None:
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    place = (tmp_path / "own" / helper).resolve()
    _write(tmp_path, {"own/part.py": line, str(place.relative_to(tmp_path)): "x = 1"})
    found = with_helpers([tmp_path / "own" / "part.py"])
    assert place in [path.resolve() for path in found]
    before = code_identity.code_hash(found)
    place.write_text("x = 2")
    code_identity._named_code.cache_clear()
    code_identity._code_hash.cache_clear()
    assert code_identity.code_hash(found) != before


def test_what_a_package_gives_to_a_star_counts(tmp_path: Path) -> None:
    _write(
        tmp_path,
        {
            "part.py": "from lib import *", "lib/__init__.py": '__all__ = ["helper"]',
            "lib/helper.py": "x = 1", "lib/other.py": "x = 1", "helper.py": "x = 1",
        },
    )  # fmt: skip
    found = {path.relative_to(tmp_path) for path in with_helpers([tmp_path / "part.py"])}
    assert Path("lib/helper.py") in found
    assert Path("lib/other.py") not in found


def test_a_text_that_is_called_as_a_module_is_none_where_nothing_imports_by_name(
    tmp_path: Path,
) -> None:
    _write(tmp_path, {"part.py": "x = {'helper': 'lib'}", "helper.py": "", "lib/other.py": ""})
    assert with_helpers([tmp_path / "part.py"]) == [tmp_path / "part.py"]
    _write(tmp_path, {"long.py": f"import_module({'x' * 5000!r})\nimport_module({'x' * 300!r})"})
    assert with_helpers([tmp_path / "long.py"]) == [tmp_path / "long.py"]


def test_what_is_installed_or_of_python_is_no_helper(tmp_path: Path) -> None:
    text = "import math, json, numpy, torch\n__import__('array')\nx = 'no such.py'\ny = '.py'"
    _write(tmp_path, {"part.py": text})
    assert with_helpers([tmp_path / "part.py"]) == [tmp_path / "part.py"]
