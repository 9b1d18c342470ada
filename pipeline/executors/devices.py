"""GPUs of this machine, without importing what drives them."""

from __future__ import annotations

import os
from pathlib import Path

DRIVER = Path("/proc/driver/nvidia/gpus")


def gpu_ids() -> list[str]:
    """Names of the GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` takes them; none without a driver."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not DRIVER.is_dir():
        return []
    if allowed is not None:
        return [name.strip() for name in allowed.split(",") if name.strip()]
    return [str(number) for number in range(len(list(DRIVER.iterdir())))]
