"""Files on a disk or behind any fsspec URL: reads that notice when they are cut short and try again, writes that are
there whole or not at all."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import fsspec
import xxhash

from pipeline.io.retry import again, is_local
from stages.errors import InputError, RunError, StorageError

CHUNK_BYTES = 1 << 20
_read_bytes = 0


def filesystem_of(path: str) -> tuple[Any, str]:
    """The fsspec filesystem of a path or URL, and the path's name on it. Raises InputError for an unknown protocol."""
    try:
        # others write there, too: a listing that was kept would be wrong
        options = {"use_listings_cache": False} if "://" in path else {}
        return fsspec.core.url_to_fs(path, **options)
    except (ValueError, ImportError) as error:
        raise InputError(f"{path} cannot be reached: {error}") from error


def info_of(path: str) -> dict[str, Any] | None:
    """What a filesystem knows of a file or folder; None if there is none."""
    fs, name = filesystem_of(path)
    try:
        found: dict[str, Any] = again(fs, f"{path} cannot be looked at", lambda: fs.info(name))
    except FileNotFoundError:
        return None
    return found


def absolute(path: str) -> str:
    """The path of a directory, whatever the current one is."""
    fs, name = filesystem_of(path.rstrip("/"))
    return str(name) if is_local(fs) else path.rstrip("/")


def exists(path: str) -> bool:
    return info_of(path) is not None


def size_of(path: str) -> int | None:
    """Bytes of a file; None if there is none."""
    found = info_of(path)
    return None if found is None else int(found["size"])


def remove(path: str) -> None:
    """Remove a file, if it is there."""
    fs, name = filesystem_of(path)
    with suppress(FileNotFoundError):
        again(fs, f"{path} cannot be removed", lambda: fs.rm_file(name))


def remove_folder(path: str) -> None:
    """Remove a folder and all that is in it, if it is there."""
    fs, name = filesystem_of(path)
    if exists(path):
        again(fs, f"{path} cannot be removed", lambda: fs.rm(name, recursive=True))


def remove_parts(path: str) -> None:
    """Remove what processes that were killed left of files in the making. Only disks have any; the parts of an upload
    that was not finished are the store's to remove (a lifecycle rule for incomplete multipart uploads)."""
    if is_local(filesystem_of(path)[0]):
        for folder, _, names in os.walk(path):
            for name in names:
                if name.endswith(".part"):
                    remove(os.path.join(folder, name))


def etag_of(info: dict[str, Any]) -> str:
    """What changes when a file does: the store's own tag where there is one, else the time of the last change."""
    for key in ("ETag", "etag", "mtime", "LastModified", "created"):
        if info.get(key):
            return str(info[key])
    return ""


def read_bytes_so_far() -> int:
    """Bytes of files that this process has read."""
    return _read_bytes


class Source(io.RawIOBase):
    """A file to read from, of any filesystem.

    A read that fails or ends before the file does is tried again where it stopped; if it keeps failing, StorageError is
    raised, which no reader of a format takes for damaged data.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fs, self._name = filesystem_of(path)
        self._at = 0
        self._stream: Any = again(self._fs, f"{path} cannot be read", self._open)
        self._size: int | None = getattr(self._stream, "size", None)

    def _open(self) -> Any:
        return self._fs.open(self._name, "rb")

    def read(self, size: int | None = -1, /) -> bytes:
        global _read_bytes
        content: bytes = again(
            self._fs, f"{self._path} cannot be read at byte {self._at}", lambda: self._try(-1 if size is None else size)
        )
        self._at += len(content)
        _read_bytes += len(content)
        return content

    def _try(self, size: int) -> bytes:
        try:
            if self._stream is None:
                self._stream = self._open()
                self._stream.seek(self._at)
            content: bytes = self._stream.read(size)
            left = len(content) if self._size is None else max(self._size - self._at, 0)
            wanted = left if size < 0 else min(size, left)
            if len(content) < wanted:
                raise OSError(f"{len(content)} bytes came instead of {wanted}")
        except BaseException:
            stream, self._stream = self._stream, None
            if stream is not None:
                stream.close()
            raise
        return content

    def readinto(self, buffer: Any, /) -> int:
        view = memoryview(buffer).cast("B")
        content = self.read(len(view))
        view[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        return self.read()

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        if whence == os.SEEK_END and self._size is None:
            raise StorageError(f"{self._path}: the size is unknown")
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size or 0}[whence]
        self._at = start + offset
        if self._stream is not None:
            self._stream.seek(self._at)
        return self._at

    def tell(self) -> int:
        return self._at

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if not self.closed and self._stream is not None:
            self._stream.close()
        super().close()


def checksum_of(path: str) -> str:
    """XXH3, 128 bits, of a file's bytes."""
    digest = xxhash.xxh3_128()
    with Source(path) as stream:
        while chunk := stream.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


class AtomicFile:
    """A binary file that appears under its name when it is closed, complete: by a rename on a disk, by one put
    elsewhere.

    Counts and hashes what is written. Left without `commit`, it leaves nothing behind.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._fs, self._name = filesystem_of(path)
        self._temporary = f"{self._name}.{os.getpid()}.part" if is_local(self._fs) else self._name
        self._stream = again(self._fs, f"{path} cannot be written", self._open)
        self._digest = xxhash.xxh3_128()
        self.num_bytes = 0
        self.closed = False

    def _open(self) -> Any:
        try:
            return self._fs.open(self._temporary, "wb")
        except FileNotFoundError:
            self._fs.makedirs(self._fs._parent(self._name), exist_ok=True)
            return self._fs.open(self._temporary, "wb")

    def write(self, content: Any) -> int:
        view = memoryview(content)
        if self.closed:  # a writer that is thrown away writes its footer
            return view.nbytes
        self._digest.update(view)
        self._once(lambda: self._stream.write(view))
        self.num_bytes += view.nbytes
        return view.nbytes

    def _once(self, action: Callable[[], object]) -> None:
        """Part of the file may be written already: no second try, but an error that says what is wrong."""
        again(None, f"{self._path} cannot be written", action, waits=())

    @property
    def checksum(self) -> str:
        return self._digest.hexdigest()

    def commit(self) -> None:
        """Have the file appear. On a disk it outlives a crash of the machine, as does what was committed before it."""
        self._once(self._commit)
        self.closed = True

    def _commit(self) -> None:
        if is_local(self._fs):
            self._stream.flush()
            os.fsync(self._stream.fileno())
        self._stream.close()
        if self._temporary != self._name:
            os.replace(self._temporary, self._name)

    def discard(self) -> None:
        """Forget what was written."""
        if self.closed:
            return
        self.closed = True
        if self._temporary == self._name and hasattr(self._stream, "discard"):
            self._stream.discard()
            self._stream.closed = True  # or the collector of garbage would finish it
            return
        with suppress(OSError):  # the last bytes may find no room
            self._stream.close()
        with suppress(FileNotFoundError):
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


def write_text(path: str, text: str) -> None:
    """Write a file in one step."""
    _write(path, text.encode())


def write_json(path: str, content: Any, *, compact: bool = False) -> None:
    """Write a JSON file, atomically."""
    layout: dict[str, Any] = {"separators": (",", ":")} if compact else {"indent": 1}
    encoded = json.dumps(content, default=str, **layout).encode() + b"\n"
    again(filesystem_of(path)[0], f"{path} cannot be written", lambda: _write(path, encoded))


def _write(path: str, content: bytes) -> None:
    file = AtomicFile(path)
    try:
        file.write(content)
        file.commit()
    except BaseException:
        file.discard()
        raise


def read_json(path: str) -> Any:
    """Read a JSON file that a run wrote; raises RunError naming it when it is missing, empty or damaged."""
    content = read_if_there(path)
    if content is None:
        raise RunError(f"{path} is missing")
    return parse_json(path, content)


def parse_json(path: str, content: bytes) -> Any:
    """The content of a JSON file; raises RunError as `read_json`."""
    try:
        return json.loads(content)
    except ValueError as error:
        what = "is empty" if not content else f"is damaged ({error})"
        raise RunError(f"{path} {what}; delete it to have what it records done again") from error


def read_if_there(path: str) -> bytes | None:
    """A small file's content; None if there is none."""
    try:
        with Source(path) as stream:
            return stream.read()
    except FileNotFoundError:
        return None


def read_many(paths: Sequence[str]) -> dict[str, bytes]:
    """The contents of those of some small files that are there; many at a time where each one has to be waited for."""
    if len(paths) > 1 and "://" in paths[0]:
        fs, _ = filesystem_of(paths[0])
        names = {fs._strip_protocol(path): path for path in paths}
        found: dict[str, Any] = again(
            fs, f"{paths[0]} and others cannot be read", lambda: fs.cat(list(names), on_error="return")
        )
        read = {names[name]: content for name, content in found.items() if isinstance(content, bytes)}
        unsure = [path for name, path in names.items() if not isinstance(found.get(name), (bytes, FileNotFoundError))]
    else:
        read, unsure = {}, list(paths)
    for path in unsure:
        if (content := read_if_there(path)) is not None:
            read[path] = content
    return read


def list_sizes(path: str) -> dict[str, int]:
    """Bytes of each file in a folder, by name; none if there is no folder."""
    return {_last(about["name"]): int(about["size"] or 0) for about in _list(path) if about["type"] == "file"}


def list_folders(path: str) -> list[str]:
    """Names of the folders in a folder; none if there is none."""
    return sorted(_last(about["name"]) for about in _list(path) if about["type"] == "directory")


def _last(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2]


def _list(path: str) -> list[dict[str, Any]]:
    fs, name = filesystem_of(path)
    try:
        found: list[dict[str, Any]] = again(fs, f"{path} cannot be listed", lambda: fs.ls(name, detail=True))
    except FileNotFoundError:
        return []
    return found
