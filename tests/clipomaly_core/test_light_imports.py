"""PyTorch's compiler, left out at import, is there for who asks."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.whole

_CODE = """
import clipomaly_core.weights, sys, torch
from torchvision.ops import RoIAlign
assert "torch._dynamo" not in sys.modules
torch.use_deterministic_algorithms(True)  # the way of RoIAlign that asks for the compiler
print(*RoIAlign(2, 1.0, -1)(torch.ones(1, 3, 8, 8), torch.tensor([[0.0, 0, 0, 4, 4]])).shape)
"""


def test_torchvision_finds_the_compiler_when_it_needs_it() -> None:
    ran = subprocess.run([sys.executable, "-c", _CODE], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.split() == ["1", "3", "2", "2"]
