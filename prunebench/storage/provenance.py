"""Describe what made a record and an experiment: code, versions, machine, command.

Every record has the values of ``software``; a whole experiment has ``provenance.json``, the result
of ``experiment_origin``. Neither holds a machine's name.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any, cast

from prunebench.errors import PrunebenchError, printable
from prunebench.storage.files import read_json, remove_tree, replacing, sha256_file
from prunebench.storage.shipped import SNAKEFILE, checkout, shipped
from prunebench.text import private

_ROOT = Path(__file__).parents[2]
LOCK = "requirements.lock"
_RUN = ("prunebench", "Snakefile", "workflows")  # of a checkout: what is imported or run
# of provenance.json, where they are known
_KINDS: dict[str, type] = {
    **dict.fromkeys(
        ("machine", "packages", "cells", "commits", "data_hashes", "hub_commits"), dict
    ),
    **dict.fromkeys(("code_hashes", "devices", "precisions", "threads"), list),
    **dict.fromkeys(("command", "started", "ended", "system", "python", "experiment"), str),
}
_WORDS: dict[type, str] = {dict: "mapping", list: "list", str: "text"}
# set by the workflow, whose jobs know neither
COMMAND, STARTED = "PRUNEBENCH_COMMAND", "PRUNEBENCH_STARTED"


# what changes the arithmetic of torch, numpy and the libraries below them, puts others in their
# place, or changes the order of sets
_ARITHMETIC = (
    "ATEN_", "BLIS_", "CUBLAS_", "CUDA_", "CUDNN_", "DNNL_", "FLEXIBLAS", "GLIBC_TUNABLES", "GOMP_",
    "GOTO_", "HIP", "HSA_", "KMP_", "LD_LIBRARY_PATH", "LD_PRELOAD", "MIOPEN_", "MKL_", "NPY_",
    "NUMEXPR_", "NVIDIA_", "OMP_", "ONEDNN_", "OPENBLAS_", "PYTHONHASHSEED", "PYTORCH_", "ROCBLAS_",
    "TORCH", "TRITON_", "VECLIB_", "XNNPACK_",
)  # fmt: skip

# of these, what libraries or jobs set themselves on their way, and no sum depends on
_SET_ON_THE_WAY = {
    "CUDA_MODULE_LOADING", "CUDA_VISIBLE_DEVICES", "KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK",
    "PYTORCH_NVML_BASED_CUDA_CHECK", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR",
}  # fmt: skip
_USUAL = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}  # every job sets it where nobody did


def _git(*arguments: str) -> str | None:
    """What git says of this checkout, whatever repository the environment names."""
    if checkout() is None:  # an installed package: the repository around it is another's
        return None
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    # nor of one that the checkout lies in
    environment["GIT_CEILING_DIRECTORIES"] = str(_ROOT.parent)
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(_ROOT), *arguments],  # noqa: S607
            capture_output=True, text=True, timeout=10, check=True, errors="surrogateescape",
            env=environment,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def software() -> dict[str, Any]:
    """Return commit, whether the checkout differs from it, lock file, processor and versions.

    None for what is unknown.
    """
    tracked, beside = _git("status", "--porcelain", "--untracked-files=no"), _untracked()
    lock = shipped(LOCK)
    return {
        "commit": _git("rev-parse", "HEAD"),
        "dirty": None if tracked is None or beside is None else bool(tracked or beside),
        "lock_hash": sha256_file(lock) if lock.is_file() else None,
        "processor": processor(),
        "python_version": platform.python_version(),
        **{f"{name}_version": _version(name) for name in ("torch", "torchvision", "timm")},
    }


def processor() -> str | None:
    """Return the model of the processor as the system names it; None where it is unknown."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter([*names, platform.processor(), platform.machine()]), None) or None


def _untracked() -> str | None:
    """Return the files that git does not track where they may be imported or run; NUL between.

    What lies elsewhere in the checkout, such as a configuration or data, changes no result by being
    there: what results stand on of it is in their identity.
    """
    return _git("ls-files", "--others", "--exclude-standard", "-z", "--", *_RUN)


def diff_hash() -> str | None:
    """Return the SHA-256 of uncommitted changes; None where there are none or nobody knows.

    It is of the difference to HEAD, and of the names and contents of files that git does not track
    in the package and the workflow.
    """
    diff = _git("diff", "HEAD", "--binary", "--no-ext-diff")
    names = _untracked()
    if diff is None or names is None or not (diff or names):
        return None
    found = hashlib.sha256(diff.encode(errors="surrogateescape"))
    for name in filter(None, names.split("\0")):
        path = _ROOT / name
        found.update(name.encode(errors="surrogateescape"))
        found.update(sha256_file(path).encode() if path.is_file() else b"")
    return found.hexdigest()


def environment() -> dict[str, Any]:
    """Return machine, system, variables and every package's version; None for what is unknown."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        memory = None
    return {
        "machine": {
            "processor": processor(), "architecture": platform.machine(),
            "cores": os.cpu_count(), "usable_cores": usable, "memory_bytes": memory,
        },
        "system": _system(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "variables": variables(),
        "packages": dict(
            sorted({(d.metadata["Name"] or "").lower(): d.version for d in distributions()}.items())
        ),
    }  # fmt: skip


def variables() -> dict[str, str]:
    """Return the variables of the environment that may change what torch computes, by name.

    Of their values what is private is left out, as in ``command``.
    """
    return {
        name: private.setting(name, value)
        for name, value in sorted(os.environ.items())
        if name.startswith(_ARITHMETIC)
        and name not in _SET_ON_THE_WAY
        and value != _USUAL.get(name)
    }


def _system() -> str:
    try:
        named = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        named = ""
    return ", ".join(filter(None, [named, f"{platform.system()} {platform.release()}"]))


def differences(
    stored: Mapping[str, Any] | None, here: Mapping[str, Any]
) -> tuple[tuple[str, str, str], ...]:
    """Return what differs between a ``provenance.json`` and this machine: (name, there, here).

    Only system, variables and packages are compared, and of packages those that both have: the rest
    stands in each record.

    Args:
        stored: content of ``provenance.json``; None where there is none.
        here: the ``environment`` of this machine.
    """
    if stored is None:
        return ()
    found = []
    if stored.get("system") != here["system"]:
        found.append(("system", str(stored.get("system")), str(here["system"])))
    if isinstance(given := stored.get("variables"), dict) and given != here["variables"]:
        sides = given, here["variables"]
        other = [name for name in sorted({**given, **here["variables"]}) if _differ(name, sides)]
        one, two = (", ".join(f"{name}={side.get(name, '')}" for name in other) for side in sides)
        found.append(("variables", one, two))
    there, now = stored.get("packages") or {}, here["packages"]
    other = [name for name in there if name in now and there[name] != now[name]]
    if other:
        one, two = (", ".join(f"{name} {side[name]}" for name in other) for side in (there, now))
        found.append(("packages", one, two))
    return tuple(found)


def _differ(name: str, sides: tuple[Mapping[str, Any], Mapping[str, Any]]) -> bool:
    return sides[0].get(name) != sides[1].get(name)


def read(path: Path) -> dict[str, Any] | None:
    """Return the content of a ``provenance.json``; None where there is none.

    Raises:
        PrunebenchError: the file is damaged.
    """
    if not path.is_file():
        return None
    stored = read_json(path)
    if not isinstance(stored, dict):
        raise PrunebenchError(f"{path} is damaged: it is not a mapping")
    for key, kind in _KINDS.items():
        if not isinstance(stored.get(key), kind | None):
            raise PrunebenchError(f"{path} is damaged: {key} is no {_WORDS[kind]}")
    machine = stored.get("machine") or {}
    if not all(isinstance(machine.get(key), str | None) for key in ("processor", "architecture")):
        raise PrunebenchError(f"{path} is damaged: machine does not name its processor")
    return cast("dict[str, Any]", _shown(stored))


def _shown(value: Any) -> Any:
    """Return a value whose texts command no terminal, whoever wrote them."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_shown(item) for item in value]
    if isinstance(value, dict):
        return {printable(key): _shown(item) for key, item in value.items()}
    return value


def mismatched(stored: Mapping[str, Any], config: Path, cells: Path) -> list[tuple[str, str]]:
    """Return which of two files are not those that a ``provenance.json`` names by their hashes.

    Args:
        stored: content of ``provenance.json``.
        config: the config.json beside it.
        cells: the cells.csv beside it.

    Returns:
        The key of the hash and the name of each such file.
    """
    named = {"config_sha256": config, "cells_sha256": cells}
    return [(key, path.name) for key, path in named.items() if stored.get(key) != sha256_file(path)]


def doubt(stored: Mapping[str, Any] | None, config: Path, cells: Path) -> str:
    """Return why a ``provenance.json`` says nothing about the records beside it; "" if it does.

    Args:
        stored: content of ``provenance.json``; None where there is none.
        config: the config.json beside it.
        cells: the cells.csv beside it.
    """
    if stored is None:
        return (
            "there is no provenance.json: the command, machine, system and packages of these"
            " records are not known"
        )
    other = " and ".join(name for _, name in mismatched(stored, config, cells))
    return other and (
        f"provenance.json names another {other}, changed since or someone else's: what it says need"
        " not be of these records"
    )


def doubt_of(stored: Path, config: Path, cells: Path) -> str:
    """Return ``doubt`` of files; "" where one of the two beside ``provenance.json`` is missing.

    Args:
        stored: the ``provenance.json``.
        config: the config.json beside it.
        cells: the cells.csv beside it.
    """
    content = read(stored)
    there = config.is_file() and cells.is_file()
    return doubt(content, config, cells) if content is None or there else ""


def outdated(stored: Path, config: Path, cells: Path) -> str:
    """Return the warning that a table of cells is of other settings than ``config``; "" if not.

    Args:
        stored: the ``provenance.json`` beside the table.
        config: the config.json beside it.
        cells: the table. Where one of the three files is missing, there is no warning.

    Raises:
        PrunebenchError: ``provenance.json`` is damaged.
    """
    if not all(path.is_file() for path in (stored, config, cells)):
        return ""
    if (read(stored) or {}).get("config_sha256") == sha256_file(config):
        return ""
    return f"{cells} is of other settings than {config}, or older: run the grid to renew it"


def command() -> str:
    """Return the command line that the user gave, without the folder of its program."""
    return os.environ.get(COMMAND) or command_line(sys.argv)


def command_line(arguments: list[str]) -> str:
    """Return ``arguments`` (``sys.argv``) as one would type them, without what is private."""
    program = Path(arguments[0])
    if program.name in ("__main__.py", "-m"):  # python -m prunebench
        named = ["python", "-m", program.parent.name or "prunebench"]
    else:
        named = [program.name]
    return " ".join(filter(None, [shlex.join(named), private.command(arguments[1:])]))


def copy_workflow(folder: Path) -> list[Path]:
    """Copy the workflow that runs this process into ``folder``, Snakefile and what it includes.

    What was in the folder is removed, also where no workflow runs this process.

    Returns:
        The copies; their paths below ``folder`` are those in the checkout.

    Raises:
        Unwritable: the disk is full, or the folder may not be written.
    """
    remove_tree(folder)
    if COMMAND not in os.environ:
        return []
    copies = {
        folder / source.relative_to(shipped("")): source
        for source in (shipped(SNAKEFILE), *sorted(shipped("workflows").glob("*.smk")))
    }
    for copy, source in copies.items():
        with replacing(copy) as temporary:
            shutil.copyfile(source, temporary)
    return list(copies)


def now() -> str:
    """Return the time in UTC, to the second (ISO 8601)."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def experiment_origin(
    config: Path, cells: Path, rows: Iterable[Mapping[str, Any]], started: str | None = None
) -> dict[str, Any]:
    """Return what made an experiment: the content of its ``provenance.json``.

    Commits and data are those of the records, which an earlier command may have made. The rest is
    of the command that collected them.

    Args:
        config: its config.json.
        cells: its cells.csv.
        rows: the rows of cells.csv.
        started: when the command began; by default what the workflow says, else now.
    """
    rows = list(rows)
    begun, ended = started or os.environ.get(STARTED) or now(), now()
    wall = datetime.fromisoformat(ended) - datetime.fromisoformat(begun)
    made = software()
    return {
        "experiment": rows[0]["experiment"] if rows else None,
        "config_sha256": sha256_file(config),
        "cells_sha256": sha256_file(cells),
        "cells": dict(sorted(Counter(str(row["status"]) for row in rows).items())),
        "commits": _counted(rows, "commit"),
        "dirty_cells": sum(bool(row.get("dirty")) for row in rows),
        "data_hashes": {
            task: _distinct([row for row in rows if row["task"] == task], "data_hash")
            for task in sorted({row["task"] for row in rows})
        },
        "hub_commits": {
            model: _distinct([row for row in rows if row.get("model") == model], "hub_commit")
            for model in sorted({row["model"] for row in rows if row.get("hub_commit")})
        },
        "code_hashes": _distinct(rows, "code_hash"),
        "devices": _distinct(rows, "device"),
        "precisions": _distinct(rows, "precision"),
        "threads": _distinct(rows, "threads"),
        "command": command(),
        "started": begun,
        "ended": ended,
        "wall_seconds": max(wall.total_seconds(), 0.0),
        "commit": made["commit"],
        "dirty": made["dirty"],
        "diff_hash": diff_hash(),
        "lock_hash": made["lock_hash"],
        **environment(),
    }  # fmt: skip


def _counted(rows: Iterable[Mapping[str, Any]], column: str) -> dict[str, int]:
    return dict(sorted(Counter(str(row[column]) for row in rows if row.get(column)).items()))


def _distinct(rows: Iterable[Mapping[str, Any]], column: str) -> list[Any]:
    return sorted({row[column] for row in rows if row.get(column) is not None})
