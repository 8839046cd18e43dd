"""Parts of methods: read from source without running it, the same as what is then imported."""

from __future__ import annotations

import importlib
import inspect
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment import registry
from prunebench.experiment.registry import builtin, check_parameters, find, load
from prunebench.experiment.sources import PARTS

PLUGIN = '''
"""A file of somebody's own."""
import prunebench.experiment.registry as parts
from prunebench.experiment.registry import criterion

@criterion(patterns=("weight", "filter"), needs=("batches",))
def marked(view, *, power: float = 2.0, depth: int | None = None, sizes=(1, 2), mode="a"):
    """The first line.

    More.
    """
    return power

@parts.schedule()
def other(curve): ...

def _not_a_criterion(*a, **k): return lambda f: f
@_not_a_criterion(patterns=unknown_name)
def plain(view, *, must): "Nothing is known of it."
'''


def plugin(folder: Path, text: str = PLUGIN, name: str = "plugin.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def refusal(kind: str, name: str) -> str:
    with pytest.raises(PrunebenchError) as caught:
        find(kind, name)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# ------------------------------------------------------------------------------- what ships


@pytest.mark.parametrize("kind", PARTS)
def test_what_ships_is_read_as_it_is_imported(kind: str) -> None:
    assert builtin(kind)
    for name, spec in builtin(kind).items():
        function = inspect.unwrap(load(spec))
        assert function.__name__ == spec.function
        assert name == spec.function.strip("_").replace("_", "-")
        assert (inspect.getdoc(function) or "").partition("\n")[0] == spec.summary
        assert spec.summary
        keywords = {
            p.name: p.default
            for p in inspect.signature(function).parameters.values()
            if p.kind is p.KEYWORD_ONLY
        }
        assert keywords == spec.parameters
        assert Path(inspect.getsourcefile(function) or "") == spec.source
        assert find(kind, name) is spec


def test_traits_name_what_exists() -> None:
    for spec in [*builtin("criterion").values(), *builtin("allocation").values()]:
        assert set(spec.trait("patterns", ())) <= set(builtin("pattern"))
    for spec in builtin("schedule").values():
        assert set(spec.trait("recoveries", ())) <= set(builtin("recovery"))


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    assert refusal("recovery", "fine-tunning").endswith("did you mean 'fine-tuning'?")
    assert "known: " in refusal("pattern", "zzz")


# ------------------------------------------------------------------------- path/to/file.py


def test_a_file_is_read_without_running_it(tmp_path: Path) -> None:
    path = plugin(tmp_path, PLUGIN + "\nraise SystemExit('it ran')\n")
    spec = find("criterion", f"{path}:marked")
    assert (spec.kind, spec.function, spec.source) == ("criterion", "marked", path)
    assert spec.summary == "The first line."
    assert spec.traits == {"patterns": ("weight", "filter"), "needs": ("batches",)}
    assert spec.parameters == {"power": 2.0, "depth": None, "sizes": [1, 2], "mode": "a"}
    assert find("schedule", f"{path}:other").traits == {}
    assert find("criterion", f"{path}:plain").traits == {}  # unmarked: nothing is promised


def test_a_file_is_imported_when_it_is_to_be_called(tmp_path: Path) -> None:
    path = plugin(tmp_path, "def f(view): return 41\n")
    first = load(find("criterion", f"{path}:f"))
    assert first(None) == 41
    assert load(find("criterion", f"{path}:f")) is first


def test_a_file_that_breaks_when_imported_breaks_every_time(tmp_path: Path) -> None:
    spec = find("criterion", f"{plugin(tmp_path, 'def f(view): ...' + chr(10) + '1 / 0')}:f")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            load(spec)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def ff(view): ...", "has no function 'f'; did you mean 'ff'?"),
        ("def f(view:", "not valid Python"),
        ("\0", "not valid Python"),
        ("@criterion(patterns=MINE)\n{f}", "2: @criterion patterns: must be a literal"),
        ("@criterion(patterns={[]: 1})\n{f}", "must be a literal"),
        ("@criterion(patterns=('weight'))\n{f}", "must be names, e.g. ('weight',)"),
        ("@criterion\n{f}", "takes keywords only, or none: @criterion()"),
        ("@criterion('weight')\n{f}", "takes keywords only"),
        ("@criterion(**known)\n{f}", "takes keywords only"),
        ("def f(view, *, p=PI): ...", "default of p: must be a literal, found 'PI'"),
        ("def f(view, *, p={1, 2}): ...", "default of p: must be what YAML can say"),
        ("async def f(view): ...", "has no function 'f'"),
    ],
)  # fmt: skip
def test_a_file_that_is_wrong_is_refused_with_its_name(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = plugin(tmp_path, text.replace("{f}", "def f(view): ..."))
    message = refusal("criterion", f"{path}:f")
    assert str(path) in message
    assert reason in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no/such.py: No such file" in refusal("criterion", "no/such.py:f")
    assert "Is a directory" in refusal("criterion", f"{plugin(tmp_path / 'x.py').parent}:f")


# ---------------------------------------------------------- package.module, entry points


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package that must not be imported to be read, with an import of its own."""
    name = "prunebench_test_package"
    plugin(tmp_path, "LOADED = True\n", f"{name}/__init__.py")
    plugin(tmp_path, "def helper(): return 7\n", f"{name}/helpers.py")
    text = "from .helpers import helper\ndef f(view, *, p: int = 3): return helper()\n"
    plugin(tmp_path, text, f"{name}/module.py")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return name


def test_a_module_is_read_without_importing_its_package(package: str) -> None:
    spec = find("criterion", f"{package}.module:f")
    assert spec.parameters == {"p": 3}
    assert package not in sys.modules
    assert load(spec)(None) == 7  # imported by name, so that its own imports hold
    assert "module 'f'" not in refusal("criterion", f"{package}.module:g")
    for name in (f"{package}.none:f", "no_such_package:f", "sys:exit", ":f", "..x:f", "a-b:f"):
        assert "no such Python module" in refusal("criterion", name)


def test_an_entry_point_is_a_name(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def points(group: str, name: str) -> list[EntryPoint]:
        asked.append(group)
        found = EntryPoint("theirs", f"{package}.module:f", group)
        return [found] if name == found.name else []

    monkeypatch.setattr(registry, "entry_points", points)
    spec = find("criterion", "theirs")
    assert (spec.name, spec.parameters) == ("theirs", {"p": 3})
    assert load(spec)(None) == 7
    assert asked == ["prunebench.criterion"]
    assert "unknown criterion 'their'" in refusal("criterion", "their")


def test_an_installed_entry_point_is_found(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "theirs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[prunebench.pattern]\nours = {package}.module:f\n")
    assert find("pattern", "ours").function == "f"


# ------------------------------------------------------------------------------ parameters


def test_parameters_are_completed_and_checked(tmp_path: Path) -> None:
    path = plugin(tmp_path)
    spec = find("criterion", f"{path}:marked")
    complete = check_parameters(spec, {"power": 3, "depth": 4})
    assert complete == {"power": 3.0, "depth": 4, "sizes": [1, 2], "mode": "a"}
    assert isinstance(complete["power"], float)  # 3 and 3.0 are one setting
    for given, reason in (
        ({"pow": 1}, "has no parameter 'pow'; did you mean 'power'?"),
        ({3: 1}, "has no parameter 3"),
        ({"power": "much"}, "power must be float, found 'much'"),
        ({"power": None}, "power must be float, found None"),
        ({"power": True}, "power must be float, found True"),
        ({"depth": 1.5}, "depth must be int or null, found 1.5"),
        ({"depth": True}, "depth must be int or null, found True"),
        ({"mode": 1}, "mode must be str, found 1"),
        ({"sizes": 1}, "sizes must be list, found 1"),
        ({"sizes": [float("inf")]}, "sizes must be list, found [inf]"),
    ):
        with pytest.raises(PrunebenchError) as caught:
            check_parameters(spec, given)
        assert reason in str(caught.value)
    with pytest.raises(PrunebenchError, match="needs must"):
        check_parameters(find("criterion", f"{path}:plain"), {})
