"""One launch at a time in a run directory.

On a disk the lock is the kernel's: it goes with the process, however that ends. Behind a URL there is none, so a launch
keeps a small file fresh, its lease, created in one step where the store can. Another launch watches the lease: one that
changes belongs to somebody at work, one that stays as it is for `LEASE_S` to somebody who is gone. No two clocks are
compared.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from pipeline.io.files import filesystem_of, info_of, read_if_there, remove, write_json
from pipeline.io.retry import again, is_local
from stages.errors import ConfigError, RunError, StorageError

LOCK = "launch.lock"
RENEW_S = 5.0
LEASE_S = 30.0
SETTLE_S = 1.0
"""Time in which another launch that found no lease either has written its own."""


@contextmanager
def alone(path: str) -> Iterator[Callable[[], None]]:
    """Hold a run directory; yields what raises RunError once it is held no more.

    Raises ConfigError for a directory that is none or holds something else, RunError if another launch is at work.
    """
    _check_directory(path)
    held = _locked(path) if is_local(filesystem_of(path)[0]) else _leased(path)
    with held as check:
        yield check


def _check_directory(path: str) -> None:
    fs, root = filesystem_of(path)
    there = info_of(path)
    if there is not None and there["type"] != "directory":
        raise ConfigError(f"{path} is a file; the output of a run is a directory")
    names: list[str] = again(fs, f"{path} cannot be listed", lambda: fs.ls(root, detail=False)) if there else []
    found = {name.rstrip("/").rpartition("/")[2] for name in names} - {LOCK, ""}
    if found and "run.json" not in found:
        raise ConfigError(f"{path} has files in it and is no run directory; choose another --output, or empty it")


@contextmanager
def _locked(path: str) -> Iterator[Callable[[], None]]:
    fs, root = filesystem_of(path)
    try:
        fs.makedirs(root, exist_ok=True)
        lock = os.open(f"{root}/{LOCK}", os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}; choose another --output") from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunError(f"another launch is at work on {path}; see: tamis status {path}") from error
        yield lambda: None
    finally:
        os.close(lock)


@contextmanager
def _leased(path: str) -> Iterator[Callable[[], None]]:
    lease = Lease(path)
    lease.take()
    renewing = threading.Thread(target=lease.keep, daemon=True)
    renewing.start()
    try:
        yield lease.check
    finally:
        lease.ended.set()
        renewing.join()
        lease.give_back()


class Lease:
    """A file `launch.lock` that its owner rewrites every few seconds."""

    def __init__(self, path: str) -> None:
        self.path, self.file = path, f"{path}/{LOCK}"
        self.owner = {"owner": uuid.uuid4().hex, "host": platform.node(), "process": os.getpid()}
        self.count = 0
        self.lost = False
        self.ended = threading.Event()

    def take(self) -> None:
        """Raises RunError if somebody else keeps it fresh, or takes it at the same time."""
        before = self._read()
        if before is not None and not self._is_of_the_dead(before):
            waited = 0.0
            while waited < LEASE_S:
                time.sleep(RENEW_S / 2)
                waited += RENEW_S / 2
                now = self._read()
                if now is None:
                    before = None
                    break
                if now != before:
                    self._refuse(now)
        if before is None:
            self._create()
        else:
            self._write()
        time.sleep(SETTLE_S)
        now = self._read()
        if now is None or now["owner"] != self.owner["owner"]:
            self._refuse(now or {})

    def _is_of_the_dead(self, lease: dict[str, Any]) -> bool:
        """Whether it belongs to a process of this machine that has ended."""
        if lease.get("host") != self.owner["host"]:
            return False
        try:
            os.kill(int(lease.get("process", 0)), 0)
        except ProcessLookupError:
            return True
        except (OSError, ValueError):
            return False
        return False

    def _refuse(self, lease: dict[str, Any]) -> None:
        raise RunError(
            f"another launch is at work on {self.path} (process {lease.get('process')} on {lease.get('host')}); "
            f"see: tamis status {self.path}"
        )

    def keep(self) -> None:
        """Renew it until the end; a store that fails for a while is asked again."""
        while not self.ended.wait(RENEW_S):
            with suppress(StorageError):
                now = self._read()
                if now is not None and now["owner"] != self.owner["owner"]:
                    self.lost = True
                    return
                self._write()

    def check(self) -> None:
        """Raises RunError if another launch took it."""
        if self.lost:
            raise RunError(f"another launch has taken {self.path} over: this one could not be seen for {LEASE_S:g} s")

    def give_back(self) -> None:
        if not self.lost:
            remove(self.file)

    def _create(self) -> None:
        """Write it where there is none: in one step where the store has one for that (S3: `If-None-Match`). Elsewhere
        two may write at a time, and the later one keeps it."""
        fs, name = filesystem_of(self.file)
        content = json.dumps({**self.owner, "count": self.count}).encode()
        try:
            again(fs, f"{self.file} cannot be written", lambda: fs.pipe_file(name, content, mode="create"))
        except FileExistsError:
            now = self._read() or {}
            if now.get("owner") != self.owner["owner"]:  # a try that seemed to fail may have written it
                self._refuse(now)
        except StorageError:  # a store that does not know the condition
            self._write()

    def _write(self) -> None:
        self.count += 1
        write_json(self.file, {**self.owner, "count": self.count})

    def _read(self) -> dict[str, Any] | None:
        content = read_if_there(self.file)
        try:
            found: dict[str, Any] | None = None if content is None else json.loads(content)
        except ValueError:
            return {"owner": "", "count": content}
        return found
