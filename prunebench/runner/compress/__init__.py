"""Compress a network of one's own: an experiment finds out how, its best network is exported.

The experiment is an ordinary one, ``search`` in the folder of the output: interrupted, the same
call goes on from its last finished cell.
"""

from __future__ import annotations

from prunebench.runner.compress.compress import Compressed, carry_out, compress
from prunebench.runner.compress.request import Request

__all__ = ["Compressed", "Request", "carry_out", "compress"]
