"""Where labelled data for tests lies, if it is there at all."""

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("TAMIS_DATA") or Path(__file__).parents[2] / "shared" / "data")


def data_file(name: str) -> Path:
    """A file of the labelled data; skips the test if it is not on this machine."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not here; name its folder: TAMIS_DATA=… pytest")
    return path
