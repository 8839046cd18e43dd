"""Parts of methods: read from source without running it, the same as what is then imported."""

from __future__ import annotations

import importlib
import inspect
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from prunebench.errors import PrunebenchError
from prunebench.experiment import before_work, config, plan, registry
from prunebench.experiment.part_kinds import (
    KINDS,
    Allocation,
    Criterion,
    Figure,
    Measure,
    Pattern,
    Recovery,
    Schedule,
    TaskKindTraits,
    Traits,
)
from prunebench.experiment.registry import builtin, check_parameters, find, load
from prunebench.experiment.settings import Model
from prunebench.experiment.strict_yaml import read_yaml
from prunebench.tasks.network_facts import NetworkFacts
from prunebench.tasks.task_kind import kind_of
from prunebench.training import models
from tests.conftest import ROOT

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


def refusal(kind: type[Traits], name: str) -> str:
    with pytest.raises(PrunebenchError) as caught:
        find(kind, name)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


# ------------------------------------------------------------------------------- what ships


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_ships_is_read_as_it_is_imported(kind: type[Traits]) -> None:
    assert builtin(kind) or kind in (Figure, Measure)  # those that ship have tables of their own
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
    for spec in [*builtin(Criterion).values(), *builtin(Allocation).values()]:
        assert set(spec.traits.patterns or ()) <= set(builtin(Pattern))
    for spec in builtin(Schedule).values():
        assert set(spec.traits.recoveries or ()) <= set(builtin(Recovery))


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    assert refusal(Recovery, "fine-tunning").endswith("did you mean 'fine-tuning'?")
    assert "known: " in refusal(Pattern, "zzz")


# ------------------------------------------------------------------------- path/to/file.py


def test_a_file_is_read_without_running_it(tmp_path: Path) -> None:
    path = plugin(tmp_path, PLUGIN + "\nraise SystemExit('it ran')\n")
    spec = find(Criterion, f"{path}:marked")
    assert (spec.kind, spec.function, spec.source) == ("criterion", "marked", path)
    assert spec.summary == "The first line."
    assert spec.traits == Criterion(patterns=("weight", "filter"), needs=("batches",))
    assert spec.parameters == {"power": 2.0, "depth": None, "sizes": [1, 2], "mode": "a"}
    assert find(Schedule, f"{path}:other").traits == Schedule()
    assert find(Criterion, f"{path}:plain").traits == Criterion()  # unmarked: nothing is promised


def test_a_file_is_imported_when_it_is_to_be_called(tmp_path: Path) -> None:
    path = plugin(tmp_path, "def f(view): return 41\n")
    first = load(find(Criterion, f"{path}:f"))
    assert first(None) == 41
    assert load(find(Criterion, f"{path}:f")) is first


def test_a_file_that_breaks_when_imported_breaks_every_time(tmp_path: Path) -> None:
    spec = find(Criterion, f"{plugin(tmp_path, 'def f(view): ...' + chr(10) + '1 / 0')}:f")
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            load(spec)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("def ff(view): ...", "has no function 'f'; did you mean 'ff'?"),
        ("def f(view:", "not valid Python"),
        ("\0", "not valid Python"),
        ("@criterion(patterns=MINE)\n{f}", "1: @criterion: patterns: must be a literal"),
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
    message = refusal(Criterion, f"{path}:f")
    assert str(path) in message
    assert reason in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "no/such.py: No such file" in refusal(Criterion, "no/such.py:f")
    assert "Is a directory" in refusal(Criterion, f"{plugin(tmp_path / 'x.py').parent}:f")


def decorated(kind: type[Traits], arguments: str) -> str:
    return f"import os\n\n@{kind.kind}({arguments})\ndef f(x): ...\n"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_misspelt_trait_is_refused_with_the_nearest(kind: type[Traits], tmp_path: Path) -> None:
    for trait in kind.model_fields:
        path = plugin(tmp_path, decorated(kind, f"{trait[:-1]}=()"))
        message = refusal(kind, f"{path}:f")
        near = f"{path}:3: @{kind.kind}: there is no trait {trait[:-1]!r}; did you mean {trait!r}?"
        assert message == near


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_trait_of_the_wrong_type_is_refused(kind: type[Traits], tmp_path: Path) -> None:
    for trait in kind.model_fields:
        path = plugin(tmp_path, decorated(kind, f"{trait}=1"))
        assert refusal(kind, f"{path}:f").startswith(f"{path}:3: @{kind.kind}: {trait}: ")


@pytest.mark.parametrize(
    ("kind", "arguments", "reason"),
    [
        (Criterion, "needs=('gradient',)", "needs: input should be 'batches', 'gradients'"),
        (Criterion, "patterns=()", "patterns: tuple should have at least 1 item"),
        (Criterion, "sweeps='yes'", "sweeps: input should be a valid boolean (found 'yes')"),
        (Schedule, "length='long'", "length: input should be 'none', 'recovery' or 'training'"),
        (Schedule, "recoveries='none'", "recoveries: must be names, e.g. ('weight',)"),
        (Pattern, "sparsities='n/m'", "sparsities: input should be '1 - n/m'"),
    ],
)  # fmt: skip
def test_what_a_trait_may_be(
    kind: type[Traits], arguments: str, reason: str, tmp_path: Path
) -> None:
    path = plugin(tmp_path, decorated(kind, arguments))
    assert reason in refusal(kind, f"{path}:f")


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_trait_is_described(kind: type[Traits]) -> None:
    for name, trait in kind.model_fields.items():
        assert trait.description, name
        assert not trait.is_required(), name  # what is not marked promises nothing


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
    spec = find(Criterion, f"{package}.module:f")
    assert spec.parameters == {"p": 3}
    assert package not in sys.modules
    assert load(spec)(None) == 7  # imported by name, so that its own imports hold
    assert "module 'f'" not in refusal(Criterion, f"{package}.module:g")
    for name in (f"{package}.none:f", "no_such_package:f", "sys:exit", ":f", "..x:f", "a-b:f"):
        assert "no such Python module" in refusal(Criterion, name)


def test_an_entry_point_is_a_name(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def points(group: str, name: str) -> list[EntryPoint]:
        asked.append(group)
        found = EntryPoint("theirs", f"{package}.module:f", group)
        return [found] if name == found.name else []

    monkeypatch.setattr(registry, "entry_points", points)
    spec = find(Criterion, "theirs")
    assert (spec.name, spec.parameters) == ("theirs", {"p": 3})
    assert load(spec)(None) == 7
    assert asked == ["prunebench.criterion"]
    assert "unknown criterion 'their'" in refusal(Criterion, "their")


def test_an_installed_entry_point_is_found(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "theirs-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (info / "entry_points.txt").write_text(f"[prunebench.pattern]\nours = {package}.module:f\n")
    assert find(Pattern, "ours").function == "f"


# ------------------------------------------------------------------------------ parameters


def test_parameters_are_completed_and_checked(tmp_path: Path) -> None:
    path = plugin(tmp_path)
    spec = find(Criterion, f"{path}:marked")
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
        check_parameters(find(Criterion, f"{path}:plain"), {})


def test_a_network_of_an_installed_package_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "from torch import nn\ndef theirs_net(): return Net\nclass Net(nn.Linear):\n"
    text += "    def __init__(self, num_classes): super().__init__(4, num_classes)\n"
    plugin(tmp_path, text, "prunebench_test_network.py")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()

    def points(group: str, name: str) -> list[EntryPoint]:
        place = "prunebench_test_network:theirs_net"
        return [EntryPoint(name, place, group)] if name == "theirs-net" else []

    monkeypatch.setattr(registry, "entry_points", points)
    facts = NetworkFacts.of_images(3, 1, 2)
    made = models.create(Model(name="mine", architecture="theirs-net"), facts, seed=0)
    assert made.weight.shape == (3, 4)
    smoke = read_yaml(ROOT / "config" / "smoke.yaml")
    before_work.check(config.parse({**smoke, "models": ["theirs-net"]}))
    source = plan.Plan(config.parse({**smoke, "models": ["theirs-net"]}))
    assert "model_code" in source.cell(source.baselines[0]).settings()


def test_a_kind_of_task_of_ones_own(tmp_path: Path) -> None:
    text = (
        "from prunebench.experiment.registry import task_kind\n"
        "from prunebench.tasks.kinds.classification import Classification\n"
        "class Mine(Classification):\n    name = 'mine'\n"
        "@task_kind(memorizes=False, error='my error')\n"
        "def kind(): return Mine\n"
    )
    named = f"{plugin(tmp_path, text)}:kind"
    smoke = read_yaml(ROOT / "config" / "smoke.yaml")
    experiment = config.parse({**smoke, "tasks": [{"name": "digits", "kind": named}]})
    assert experiment.tasks[0].kind == named
    assert not find(TaskKindTraits, named).traits.memorizes
    assert kind_of(named, {}).name == "mine"
