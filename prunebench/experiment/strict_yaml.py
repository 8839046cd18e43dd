"""Read YAML that may come from anybody: plain values, no key twice, no larger than people write.

PyYAML's safe loader would take the last of two equal keys, and hang or fill the memory on numbers,
aliases and merges that are made for it; submissions and imports come from strangers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from prunebench.errors import PrunebenchError, is_text, shown
from prunebench.storage.files import require_plain

LARGEST = 2 * 2**20  # bytes of a file; PyYAML takes seconds for it
_MOST = 100_000  # values of a file, aliases expanded
_DEEPEST = 32  # lists and mappings within one another
_MERGED = 32  # mappings that one ``<<`` takes
_LONGEST = 100  # characters of a number
_TAG = "tag:yaml.org,2002:"


def read_yaml(path: str | Path) -> Any:
    """Return the content of a YAML file.

    Args:
        path: the file.

    Raises:
        PrunebenchError: it cannot be read, is not YAML, has tags, a key twice, or is too large.
    """
    require_plain(path)
    try:
        with Path(path).open("rb") as file:
            content = file.read(LARGEST + 1)  # also of what has no size, or no end
    except OSError as error:
        raise PrunebenchError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # a zero byte in its name
        raise PrunebenchError(f"{path}: {error}") from error
    if len(content) > LARGEST:
        raise PrunebenchError(f"{path} is larger than {LARGEST >> 20} MiB: too large for settings")
    try:
        value = yaml.load(content.decode(), Loader=_Loader)  # noqa: S506  # a SafeLoader
    except RecursionError as error:
        raise PrunebenchError(f"{path}: not valid YAML: too deep") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none, and the like
        raise PrunebenchError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    check_extent(value, str(path))
    return value


def read_plain(path: str | Path) -> dict[str, Any]:
    """Return the content of a configuration that Snakemake is to read after this.

    Snakemake's loader knows templates (YTE): it would run the Python in them, also in a dry run.

    Args:
        path: a file; not a pipe, of which nothing is left for Snakemake.

    Raises:
        PrunebenchError: as of ``read_yaml``; or the file is no mapping, or a template.
    """
    if not Path(path).is_file():
        raise PrunebenchError(f"{path}: no such file")
    value = read_yaml(path)
    if not isinstance(value, dict):
        raise PrunebenchError(f"{path}: must be a mapping of keys to values, found {shown(value)}")
    for key in map(str, value):
        if key.startswith("__"):
            raise PrunebenchError(
                f"{path}: {shown(key)} makes it a template, whose Python Snakemake would run:"
                " write out the values"
            )
    return value


def check_extent(value: Any, where: str) -> None:
    """Refuse a value that would fill the memory once its aliases are written out, or no file takes.

    Args:
        value: what YAML has read.
        where: the file's name, with which the message begins.

    Raises:
        PrunebenchError: it has too many values, or too many within one another, or a text that is
            none in UTF-8 or holds a zero byte.
    """
    waiting, count = [(value, 0)], 0
    while waiting:
        item, depth = waiting.pop()
        count += 1
        if count > _MOST or depth > _DEEPEST:
            raise PrunebenchError(f"{where}: too large or too deep: aliases that expand?")
        if isinstance(item, str) and not is_text(item):
            raise PrunebenchError(f"{where}: {shown(item)} holds half a character: write it again")
        if isinstance(item, str) and "\0" in item:  # of a path, the system sees what stands before
            raise PrunebenchError(f"{where}: {shown(item)} holds a zero byte: write it again")
        if isinstance(item, dict):
            item = [*item, *item.values()]
        if isinstance(item, list):
            waiting += [(inner, depth + 1) for inner in item[: _MOST + 1]]


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which also refuses equal keys and what takes it too long."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._nodes = 0
        self._merged = 0  # keys that ``<<`` brought

    def compose_node(self, parent: Any, index: Any) -> yaml.Node | None:
        self._nodes += 1
        if self._nodes > _MOST:
            raise ValueError(f"more than {_MOST:,} values")
        return super().compose_node(parent, index)

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        lines: dict[str, int] = {}
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise ValueError(f"a key must be a text, line {line}")
            if key.value in lines:
                raise ValueError(
                    f"key {key.value!r} stands twice, in lines {lines[key.value]} and {line}"
                )
            lines[key.value] = line
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge what ``<<`` names, each key once; PyYAML keeps every copy of all of them."""
        taken = [value for key, value in node.value if key.tag == f"{_TAG}merge"]
        if any(isinstance(v, yaml.SequenceNode) and len(v.value) > _MERGED for v in taken):
            raise ValueError(f"<< takes at most {_MERGED} mappings")
        super().flatten_mapping(node)
        if taken:
            node.value = list({(k.tag, k.value): (k, value) for k, value in node.value}.values())
            self._merged += len(node.value)
        if self._merged > _MOST:
            raise ValueError("too large: << that expands?")

    def _number(self, node: yaml.ScalarNode) -> int | float:
        if len(node.value) > _LONGEST:  # 59:59:59… takes PyYAML for ever, or is an OverflowError
            raise ValueError(
                f"a number of {len(node.value)} digits, line {node.start_mark.line + 1}"
            )
        whole = node.tag == f"{_TAG}int"
        return self.construct_yaml_int(node) if whole else self.construct_yaml_float(node)

    def _refused(self, node: yaml.Node) -> None:
        self.construct_undefined(node)


for _name in ("int", "float"):
    _Loader.add_constructor(f"{_TAG}{_name}", _Loader._number)
for _name in ("binary", "omap", "pairs", "set"):  # what JSON, as which settings are kept, has not
    _Loader.add_constructor(f"{_TAG}{_name}", _Loader._refused)
