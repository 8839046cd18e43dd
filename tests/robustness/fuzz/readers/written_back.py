"""Values that were changed, as the bytes of a file again."""

from __future__ import annotations

import csv
import io
import json
from typing import Any


def json_bytes(value: Any) -> bytes:
    """Return a value as a JSON file."""
    return json.dumps(value, indent=1).encode() + b"\n"


def csv_bytes(rows: Any) -> bytes:
    """Return rows of fields as a CSV file, whatever took their place."""
    file = io.StringIO(newline="")
    for row in rows if isinstance(rows, list) else [rows]:
        csv.writer(file, escapechar="\\").writerow(row if isinstance(row, list) else [row])
    return file.getvalue().encode("utf-8", "surrogatepass")


def safetensors_parts(content: bytes) -> tuple[Any, bytes]:
    """Return the header of a safetensors file, its metadata read as JSON, and what follows it."""
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    metadata = header.get("__metadata__", {})  # texts; what we put there is JSON itself
    texts = {key: json.loads(text) for key, text in metadata.items()}
    return header | {"__metadata__": texts}, content[end:]


def safetensors_bytes(header: Any, data: bytes) -> bytes:
    """Return a safetensors file with a header, whatever took its place."""
    if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
        texts = {key: json.dumps(value) for key, value in header["__metadata__"].items()}
        header = header | {"__metadata__": texts}
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data
