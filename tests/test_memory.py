import os
import platform
import subprocess
import sys

import pytest

STEPS = """
import resource, torch
from kickbert.memory import keep_freed
print(keep_freed())
def step():  # what a training step does: large blocks come and go
    blocks = [torch.zeros(4_000_000) for _ in range(12)]
for _ in range(4):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def told(**extra: str) -> tuple[str, int]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MALLOC_", "GLIBC_TUNABLES"))} | extra
    out = subprocess.run([sys.executable, "-c", STEPS], env=env, capture_output=True, text=True, check=True).stdout
    return out.split()[0], int(out.split()[1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_used_again_without_page_faults():
    done, faults = told()
    assert done == "True" and faults < 1_000
    left, usual = told(MALLOC_MMAP_THRESHOLD_="131072")
    assert left == "False" and usual > 5_000  # what the user has set for malloc stands
