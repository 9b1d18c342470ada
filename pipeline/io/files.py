"""Files on a disk or behind any fsspec URL, and writes that are there whole or not at all."""

from __future__ import annotations

import json
import os
import time
from typing import Any

import fsspec
import xxhash

from stages.errors import InputError, RunError

CHUNK_BYTES = 1 << 20


def filesystem_of(path: str) -> tuple[Any, str]:
    """The fsspec filesystem of a path or URL, and the path's name on it. Raises InputError for an unknown protocol."""
    try:
        return fsspec.core.url_to_fs(path)
    except (ValueError, ImportError) as error:
        raise InputError(f"{path} cannot be reached: {error}") from error


def is_local(fs: Any) -> bool:
    return bool(getattr(fs, "local_file", False))


def exists(path: str) -> bool:
    fs, name = filesystem_of(path)
    return bool(fs.exists(name))


def size_of(path: str) -> int:
    fs, name = filesystem_of(path)
    return int(fs.size(name))


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    fs, name = filesystem_of(path)
    if fs.exists(name):
        fs.rm_file(name)


def age_of(path: str) -> float:
    """Seconds since a file was last changed, by this machine's clock."""
    fs, name = filesystem_of(path)
    return time.time() - fs.modified(name).timestamp()


def etag_of(info: dict[str, Any]) -> str:
    """What changes when a file does: the store's own tag where there is one, else the time of the last change."""
    for key in ("ETag", "etag", "mtime", "LastModified", "created"):
        if info.get(key):
            return str(info[key])
    return ""


def checksum_of(path: str) -> str:
    """XXH3, 128 bits, of a file's bytes."""
    fs, name = filesystem_of(path)
    digest = xxhash.xxh3_128()
    with fs.open(name, "rb") as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


class AtomicFile:
    """A binary file that appears under its name when it is closed, complete: by a rename on a disk, by one put
    elsewhere.

    Counts and hashes what is written. Left without `commit`, it leaves nothing behind.
    """

    def __init__(self, path: str) -> None:
        self._fs, self._name = filesystem_of(path)
        self._fs.makedirs(self._fs._parent(self._name), exist_ok=True)
        self._temporary = f"{self._name}.{os.getpid()}.part" if is_local(self._fs) else self._name
        self._stream = self._fs.open(self._temporary, "wb")
        self._digest = xxhash.xxh3_128()
        self.num_bytes = 0
        self.closed = False

    def write(self, content: Any) -> int:
        view = memoryview(content)
        if self.closed:  # a writer that is thrown away writes its footer
            return view.nbytes
        self._digest.update(view)
        self._stream.write(view)
        self.num_bytes += view.nbytes
        return view.nbytes

    @property
    def checksum(self) -> str:
        return self._digest.hexdigest()

    def commit(self) -> None:
        self._stream.close()
        self.closed = True
        if self._temporary != self._name:
            os.replace(self._temporary, self._name)

    def discard(self) -> None:
        """Forget what was written."""
        if self.closed:
            return
        self.closed = True
        if self._temporary == self._name and hasattr(self._stream, "discard"):
            self._stream.discard()
            return
        self._stream.close()
        self._fs.rm_file(self._temporary)

    def close(self) -> None:
        """For libraries that close the streams they are handed; the file is finished by `commit`."""

    def flush(self) -> None:
        self._stream.flush()

    def tell(self) -> int:
        return self.num_bytes

    def writable(self) -> bool:
        return True

    def readable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False


def write_json(path: str, content: Any) -> None:
    """Write a JSON file, atomically."""
    file = AtomicFile(path)
    try:
        file.write(json.dumps(content, indent=1, default=str).encode() + b"\n")
    except BaseException:
        file.discard()
        raise
    file.commit()


def read_json(path: str) -> Any:
    """Read a JSON file that a run wrote; raises RunError naming it when it is missing, empty or damaged."""
    fs, name = filesystem_of(path)
    try:
        with fs.open(name, "rb") as stream:
            content = stream.read()
    except FileNotFoundError as error:
        raise RunError(f"{path} is missing") from error
    try:
        return json.loads(content)
    except ValueError as error:
        what = "is empty" if not content else f"is damaged ({error})"
        raise RunError(f"{path} {what}; delete it to have what it records done again") from error
