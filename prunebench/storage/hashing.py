"""Hashes of settings, and the seeds drawn from them."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical(value: Any) -> str:
    """Return a JSON value as text with sorted keys and no spaces: equal settings, equal text.

    Raises:
        ValueError: a number is NaN or infinite.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any) -> str:
    """Return the hex SHA-256 of the canonical form of a JSON value."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def derive_seed(*parts: str | int | float) -> int:
    """Return a 63-bit seed from the identity of a draw: no two draws share a generator."""
    return int(digest(list(parts))[:16], 16) >> 1
