"""The page of a network that was compressed: what came out, what was tried, what it cost."""

from __future__ import annotations

from prunebench.report.compressed.compressed_page import PAGE, UNITS, Outcome, write

__all__ = ["PAGE", "UNITS", "Outcome", "write"]
