"""The wheel, installed into an environment of its own and used from an empty folder."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from pathlib import Path

import pytest

from prunebench import __version__
from prunebench.storage import shipped
from prunebench.storage.layout import Layout
from tests.conftest import ROOT

# what makes the study that ``init`` writes one of a minute
SHORTER = {
    "[0, 1, 2]": "[0]",
    "- {name: noisy-40, label_noise: 0.4}": "",
}


def test_what_is_shipped_is_packaged() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    forced = wheel["targets"]["wheel"]["force-include"]
    assert forced == {name: f"prunebench/shipped/{name}" for name in forced}
    for name in ("Snakefile", "workflows/common.smk", "profiles/default", "config/default.yaml"):
        assert name.partition("/")[0] in forced
        assert shipped.shipped(name) == ROOT / name
        assert shipped.shipped(name).exists()


def test_an_installed_package_has_them_within(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = tmp_path / "shipped"
    (inside / "config").mkdir(parents=True)
    (inside / "Snakefile").touch()
    (inside / "config" / "mine.yaml").touch()
    assert shipped.checkout() == ROOT
    monkeypatch.setattr(shipped, "_INSTALLED", inside)
    assert shipped.checkout() is None
    assert shipped.configurations() == {"mine": inside / "config" / "mine.yaml"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    # the build backend is of the lock file; without it uv fetches it
    own = ["--no-build-isolation"] if importlib.util.find_spec("hatchling") else []
    tools = {"VIRTUAL_ENV": sys.prefix, "PATH": f"{sys.prefix}/bin:{os.environ['PATH']}"}
    subprocess.run(
        ["uv", "build", "--quiet", "--wheel", *own, "--out-dir", folder, ROOT],
        env={**os.environ, **tools}, check=True,
    )  # fmt: skip
    [found] = folder.glob("*.whl")
    return found


@pytest.mark.slow
def test_the_wheel_holds_what_git_holds(wheel: Path) -> None:
    held = {name for name in zipfile.ZipFile(wheel).namelist() if "dist-info" not in name}
    listed = subprocess.run(
        ["git", "ls-files", "prunebench", "Snakefile", "workflows", "profiles", "config"],
        cwd=ROOT, text=True, capture_output=True, check=True,
    ).stdout.split()  # fmt: skip
    inside = {n if n.startswith("prunebench/") else f"prunebench/shipped/{n}" for n in listed}
    assert held >= inside
    assert "prunebench/py.typed" in held


@pytest.mark.slow
def test_the_whole_way_from_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    environment, work = tmp_path / "environment", tmp_path / "work"
    uv = shutil.which("uv", path=f"{sys.prefix}/bin:{os.environ['PATH']}")
    assert uv
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, environment], check=True)
    python = environment / "bin" / "python"
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", python, wheel]
    subprocess.run(install, check=True)
    # its dependencies are those of the environment that runs the tests
    [site] = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    work.mkdir()
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    clean["PATH"] = f"{environment}/bin:{os.environ['PATH']}"

    def run(*command: str) -> str:
        done = subprocess.run(
            command, cwd=work, env=clean, text=True, check=False,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:]
        return done.stdout

    assert run("prunebench", "--version").split() == ["prunebench", __version__]
    assert "prunebench run my-study.yaml" in run("prunebench", "init", "my-study")
    config = work / "my-study.yaml"
    text = config.read_text()
    for long, short in SHORTER.items():
        assert long in text
        text = text.replace(long, short)
    config.write_text(text)
    run("prunebench", "check", "my-study.yaml")
    run("prunebench", "workflow", "my-study.yaml", "--cores", "1")
    layout = Layout(work / "results" / "my-study")
    assert "site-packages" not in layout.provenance.read_text()
    assert (layout.workflow / "Snakefile").is_file()
    told = layout.cells_csv.read_bytes()
    run("prunebench", "run", "my-study.yaml")
    assert layout.cells_csv.read_bytes() == told
    said = run("python", "-c", "import prunebench; print(prunebench.__file__)")
    assert Path(said.strip()).is_relative_to(environment)
