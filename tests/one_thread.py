"""One thread for torch: the same bits everywhere, and tests that do not fight for the processor.

A conftest that imports the fixture holds all tests below it to it.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
