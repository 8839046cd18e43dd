"""What makes a process repeat its bits, and what is named where that cannot be."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import warnings
from collections.abc import Iterator

import pytest
import torch

from prunebench.experiment.settings import Compute
from prunebench.runner.device import named_operations, set_up
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    deterministic, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(deterministic)
    torch.set_num_threads(threads)


def test_algorithms_are_deterministic_and_threads_those_of_the_configuration() -> None:
    set_up(Compute(device="cpu", threads=2))
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.get_num_threads() == 2


def test_what_a_job_imports_before_it_trains() -> None:
    code = (
        "import os, sys, torch\n"
        "from prunebench.experiment.settings import Compute\n"
        "from prunebench.runner import baselines, curves, probes\n"
        "from prunebench.runner.device import set_up\n"
        "from prunebench.training.networks.seed_cnn import SeedCNN\n"
        "set_up(Compute(device='cpu'))\n"
        "SeedCNN(10, 1, 8)(torch.zeros(2, 1, 8, 8))\n"
        "assert torch.are_deterministic_algorithms_enabled()\n"
        "assert torch.is_deterministic_algorithms_warn_only_enabled()\n"
        "assert os.environ['TORCHINDUCTOR_DETERMINISTIC'] == '1'\n"
        "heavy = {'torch._inductor', 'torch._dynamo', 'torchvision', 'timm', 'transformers',"
        " 'onnx', 'pandas', 'sklearn', 'matplotlib', 'mlflow'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="of glibc's allocator, from 2.33 on"
)
def test_large_blocks_are_kept_for_the_next_batch() -> None:
    code = (
        "import ctypes, torch\n"
        "from prunebench.experiment.settings import Compute\n"
        "from prunebench.runner.device import set_up\n"
        "class Info(ctypes.Structure):\n"
        "    _fields_ = [(f'field_{number}', ctypes.c_size_t) for number in range(10)]\n"
        "libc = ctypes.CDLL(None)\n"
        "libc.mallinfo2.restype = Info\n"
        "def apart():\n"  # bytes that go back to the system as soon as they are free: hblkhd
        "    before = libc.mallinfo2().field_4\n"
        "    block = torch.ones(12_000_000)\n"
        "    return libc.mallinfo2().field_4 - before\n"
        "assert apart() >= 48_000_000\n"
        "set_up(Compute(device='cpu'))\n"
        "assert apart() == 0\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_what_torch_cannot_make_deterministic_is_named_each_time() -> None:
    set_up(Compute(device="cpu"))
    for _ in range(2):  # a warning is shown once a place, if nothing is done about it
        found: set[str] = set()
        with named_operations(found):
            values, places = torch.ones(1, 1, 2, 2), torch.arange(4).view(1, 1, 2, 2)
            torch.nn.functional.max_unpool2d(values, places, 2)
            # as torch says it of cuBLAS, which CPUs do not have
            warnings.warn(
                "Deterministic behavior was enabled with either `torch.use_deterministic_algorithms"
                "(True)` or `at::Context::setDeterministicAlgorithms(true)`, but this operation is"
                " not deterministic because it uses CuBLAS and you have CUDA >= 10.2.",
                stacklevel=1,
            )
        assert found == {"max_unpooling2d_forward_out", "cuBLAS"}


def test_other_warnings_go_their_way() -> None:
    found: set[str] = set()
    with pytest.warns(UserWarning, match="something else"), named_operations(found):
        warnings.warn("something else", stacklevel=1)
    assert not found
