"""Storage that fails now and then: the same request again, after a while."""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from stages.errors import DiskFullError, StorageError

T = TypeVar("T")

WAITS_S = (0.2, 1.0, 3.0, 10.0)
"""Seconds before each further try; up to half as much again, so that many workers do not come back at once."""
FINAL = (
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    IsADirectoryError,
    NotADirectoryError,
    DiskFullError,
    StorageError,
)
FULL = (errno.ENOSPC, errno.EDQUOT)


def again(fs: Any, what: str, action: Callable[[], T], waits: Sequence[float] = WAITS_S) -> T:
    """The outcome of an action on a filesystem, tried again when a remote one fails.

    The libraries below (botocore, aiohttp) have tried again by themselves before they say so, each in its own way; this
    is for what they let through. A disk is asked once.

    Raises what cannot pass (a missing file, no permission) at once, DiskFullError when there is no room, and otherwise
    StorageError.
    """
    for wait in (*(() if is_local(fs) else waits), None):
        try:
            return action()
        except FINAL:
            raise
        except Exception as error:
            problem = error
        if isinstance(problem, OSError) and problem.errno in FULL:
            raise DiskFullError(
                f"{what}: no room: {problem.strerror}. Free some and launch again: what is done is kept"
            ) from problem
        if wait is not None:
            time.sleep(wait * (1 + random.random() / 2))
    raise StorageError(f"{what}: {type(problem).__name__}: {problem}") from problem


def is_local(fs: Any) -> bool:
    """Whether it is a disk, where renaming is atomic."""
    return bool(getattr(fs, "local_file", False))
