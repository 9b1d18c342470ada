"""Packed tokens as trainers read them: the loader, the mask, and the libraries that the formats are for."""

import importlib.util
import json
import pickle
import shutil
import struct
import sys
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pipeline
from pipeline.io.files import write_json
from pipeline.io.shards import Shard
from pipeline.tokens import samples
from pipeline.tokens.formats import write_sequences
from pipeline.tokens.pack import _mds_index, as_documents, trace_table
from pipeline.tokens.reader import Tokens
from stages.errors import ConfigError, MissingPartError, RunError
from stages.tokens.packing import Frame, lay_out, pack

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

LENGTH, FRAME = 64, Frame(256, 257, 258)
torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'tamis[train]'")


def write_tokens(folder: Path, format: str = "parquet", num_documents: int = 300, packing: str = "best_fit") -> Tokens:
    """Random documents packed and written in two parts, as a run does."""
    rng = np.random.default_rng(7)
    parts = []
    for number in range(2):
        sizes = rng.integers(0, 40, num_documents // 2)
        sizes[::20] = 150
        ids = [rng.integers(0, 256, size).tolist() for size in sizes]
        keys = np.sort(rng.integers(0, 2**64, len(ids), np.uint64))
        rows = pa.table(
            {
                "key": keys,
                "address": np.arange(len(ids), dtype=np.uint64),
                "epoch": np.zeros(len(ids), np.uint32),
                "id": [f"{number}-{i}" for i in range(len(ids))],
                "ids": pa.array(ids, pa.list_(pa.uint32())),
            }
        )
        documents = as_documents(rows)
        pieces = pack(documents, LENGTH, packing, FRAME)
        shard = Shard(0, "in.parquet", "parquet", 1, "", 0, 1, 0, 1)
        n = pieces.num_sequences
        chunks = ((lay_out(documents, pieces, FRAME, LENGTH, i, min(i + 10, n)), None) for i in range(0, n, 10))
        trace = trace_table(rows, pieces, [shard])
        files = write_sequences(str(folder), f"train/{number:05d}", format, trace, chunks, LENGTH)
        parts.append({"path": f"train/{number:05d}", "sequences": n, "files": [file.path for file in files]})
    splits = {"train": {"parts": parts}}
    write_json(f"{folder}/manifest.json", {"format": format, "sequence_length": LENGTH, "splits": splits})
    return pipeline.open_tokens(folder)


@pytest.fixture(scope="module")
def tokens(tmp_path_factory) -> Tokens:
    return write_tokens(tmp_path_factory.mktemp("parquet"))


def everything(tokens: Tokens) -> np.ndarray:
    return np.stack([sequence.input_ids for sequence in tokens])


# What a sequence says of itself.


@given(st.lists(st.integers(1, 9), max_size=8), st.integers(0, 5), st.booleans(), st.randoms())
def test_labels_and_positions_by_the_definition(sizes, padding, across, random):
    length = max(2, sum(sizes) + padding)
    num_tokens = sum(sizes)
    ids = np.array([random.randrange(99) for _ in range(length)], np.uint32)
    starts = np.cumsum([0, *sizes])[:-1].astype(np.uint32)
    mask = np.array([random.random() < 0.8 for _ in range(length)], np.uint8)
    edges = samples.spans(starts, num_tokens, length)
    owner = [k for k, size in enumerate([*sizes, length - num_tokens]) for _ in range(size)]
    assert edges.tolist() == [*starts.tolist(), *([num_tokens] if num_tokens < length else []), length]
    positions = samples.position_ids(edges)
    labels = samples.labels(ids, edges, num_tokens, across_documents=across, loss_mask=mask)
    for t in range(length):
        assert positions[t] == t - owner.index(owner[t])
        is_wanted = t + 1 < num_tokens and (across or owner[t] == owner[t + 1]) and mask[t + 1]
        assert labels[t] == (ids[t + 1] if is_wanted else -100)


def test_access_by_number_slice_and_trace(tokens):
    whole = everything(tokens)
    assert len(tokens) == len(whole) > 60
    for i in (0, 5, len(tokens) - 1, -1):
        assert np.array_equal(tokens[i].input_ids, whole[i])
    assert [s.num_tokens for s in tokens[3:9:2]] == [tokens[i].num_tokens for i in (3, 5, 7)]
    copy = pickle.loads(pickle.dumps(tokens))
    assert np.array_equal(copy[7].input_ids, whole[7])
    origin = tokens.trace(4, 2)
    assert origin.source == "in.parquet"
    assert origin.id == f"0-{origin.row}"
    sequence = next(s for s in tokens if s.num_tokens < LENGTH)
    place = next(i for i, s in enumerate(tokens) if s.num_tokens < LENGTH)
    with pytest.raises(IndexError, match="tokens of documents"):
        tokens.trace(place, sequence.num_tokens)


def test_few_files_are_open_at_a_time(tokens, monkeypatch):
    monkeypatch.setattr("pipeline.tokens.reader.MAX_OPEN", 1)
    other = pipeline.open_tokens(tokens.folder)
    first, last = other[0], other[-1]
    assert len(other._open) == 1
    assert np.array_equal(first.input_ids, tokens[0].input_ids)
    assert np.array_equal(last.input_ids, tokens[-1].input_ids)


@pytest.mark.parametrize("format", ["megatron", "raw", "mds"])
@pytest.mark.parametrize("packing", ["best_fit", "concatenate"])
def test_formats_hold_the_same(tmp_path, format, packing):
    one = write_tokens(tmp_path / "a", packing=packing)
    other = write_tokens(tmp_path / "b", format, packing=packing)
    assert np.array_equal(everything(one), everything(other))
    assert [s.cu_seqlens.tolist() for s in one] == [s.cu_seqlens.tolist() for s in other]


def test_files_that_are_gone_or_other_are_told(tmp_path):
    tokens = write_tokens(tmp_path)
    file = tmp_path / "train/00001.parquet"
    table = pq.read_table(file)
    pq.write_table(table, file)
    with pytest.raises(RunError, match=r"00001\.parquet: its ids are compressed"):
        tokens[-1]
    file.unlink()
    with pytest.raises(RunError, match="is gone"):
        tokens[-1]


@pytest.mark.parametrize("format", ["parquet", "raw", "mds"])
def test_damaged_files_are_told(tmp_path, format):
    """Cut, overwritten or swapped for another one: an error that names the file, never wrong tokens by accident."""
    write_tokens(tmp_path / "whole", format)
    ending = {"parquet": ".parquet", "raw": ".bin", "mds": ".mds"}[format]
    for number, (name, damage) in enumerate(
        (
            (f"train/00001{ending}", lambda content: content[: len(content) // 2]),
            (f"train/00001{ending}", lambda content: b""),
            ("train/00001.parquet", lambda content: content[:-100] + b"\xff" * 92 + content[-8:]),
            ("train/00001.parquet", lambda content: b"PAR1" * 20),
        )
    ):
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "whole", folder)
        (folder / name).write_bytes(damage((folder / name).read_bytes()))
        with pytest.raises(RunError, match=rf"00001\{ending}|00001\.parquet"):
            pipeline.open_tokens(folder)[-1].labels()


@pytest.mark.parametrize(
    "change",
    [
        {"sequence_length": -1},
        {"sequence_length": "64"},
        {"splits": {"train": {}}},
        {"splits": {"train": {"parts": [{"path": "train/00000", "sequences": -3}]}}},
        {"splits": {"train": {"parts": [{"path": 7, "sequences": 3}]}}},
        {"splits": []},
    ],
)
def test_a_manifest_that_is_none_is_told(tmp_path, change):
    write_tokens(tmp_path)
    manifest = json.loads((tmp_path / "manifest.json").read_text()) | change
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises((RunError, ConfigError), match=r"manifest\.json is damaged|has no split"):
        pipeline.open_tokens(tmp_path)


def test_places_of_documents_that_make_no_sense_are_told(tmp_path):
    write_tokens(tmp_path, "raw")
    file = tmp_path / "train/00000.parquet"
    table = pq.read_table(file)
    for starts in ([3, 9], [0, 0], [0, LENGTH]):
        rows = [starts, *table["document_starts"].to_pylist()[1:]]
        column = pa.array(rows, table["document_starts"].type)
        pq.write_table(
            table.set_column(table.schema.get_field_index("document_starts"), "document_starts", column), file
        )
        with pytest.raises(RunError, match="the places of its documents make no sense"):
            pipeline.open_tokens(tmp_path)[0]


# The loader.


def numbers(batches) -> list[int]:
    return [i for batch in batches for i in batch["sequences"].tolist()]


def test_a_batch(tokens):
    batch = next(iter(tokens.loader(batch_size=3, mask="dense")))
    assert batch["input_ids"].shape == batch["labels"].shape == (3, LENGTH)
    assert batch["input_ids"].dtype == batch["labels"].dtype == batch["position_ids"].dtype == torch.int64
    edges = batch["cu_seqlens"].tolist()
    assert edges[0] == 0
    assert edges[-1] == 3 * LENGTH
    assert {LENGTH, 2 * LENGTH} <= set(edges)
    assert batch["max_seqlen"] == max(b - a for a, b in pairwise(edges))
    flat, positions = batch["input_ids"].flatten(), batch["position_ids"].flatten()
    for low, high in pairwise(edges):
        assert positions[low:high].tolist() == list(range(high - low))
        assert batch["labels"].flatten()[high - 1] == -100
    starts = {i * LENGTH + start for i in range(3) for start in tokens[i].document_starts.tolist()}
    assert starts == {edge for edge in edges[:-1] if flat[edge] != 258}


@pytest.mark.parametrize("num_workers", [0, 1, 4])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_workers_change_no_batch(tokens, num_workers, batch_size):
    loader = tokens.loader(batch_size, num_workers=num_workers, drop_last=False)
    assert numbers(loader) == list(range(len(tokens)))


@pytest.mark.parametrize("drop_last", [False, True])
def test_ranks_share_all_sequences(tokens, drop_last):
    loaders = [tokens.loader(4, rank=rank, world_size=3, drop_last=drop_last) for rank in range(3)]
    lengths = [len(loader) for loader in loaders]
    found = [list(loader) for loader in loaders]
    assert lengths[0] == max(len(batches) for batches in found)
    together = sorted(numbers(batch for batches in found for batch in batches))
    assert together == list(range(len(tokens) // 12 * 12 if drop_last else len(tokens)))
    assert numbers(batches[0] for batches in found) == list(range(12)), "a step takes consecutive sequences"


@pytest.mark.parametrize(("workers", "later"), [(0, 4), (4, 4), (4, 0), (4, 2)])
def test_resumed_within_a_pass_nothing_is_lost_or_repeated(tokens, workers, later):
    first = tokens.loader(2, num_workers=workers, drop_last=False)
    seen = numbers(islice(first, 7))
    state = pickle.loads(pickle.dumps(first.state_dict()))
    second = pipeline.open_tokens(tokens.folder).loader(3, num_workers=later, drop_last=False)
    second.load_state_dict(state)
    assert seen + numbers(second) == list(range(len(tokens)))
    assert numbers(second) == list(range(len(tokens))), "the next pass begins at the beginning"


def test_resumed_by_another_number_of_ranks(tokens):
    loaders = [tokens.loader(2, rank=rank, world_size=2) for rank in range(2)]
    seen = [numbers(islice(loader, 5)) for loader in loaders]
    assert loaders[0].state_dict() == loaders[1].state_dict()
    rest = []
    for rank in range(3):
        loader = tokens.loader(1, rank=rank, world_size=3, drop_last=False)
        loader.load_state_dict(loaders[0].state_dict())
        rest += numbers(loader)
    assert sorted([*seen[0], *seen[1], *rest]) == list(range(len(tokens)))


def test_the_dataset_in_a_loop_of_ones_own(tokens):
    from pipeline.tokens.loader import TokenDataset

    dataset = TokenDataset(tokens, 2)
    seen = numbers(islice(dataset, 4))
    other = TokenDataset(tokens, 2, drop_last=False)
    other.load_state_dict(dataset.state_dict())
    assert seen + numbers(other) == list(range(len(tokens)))
    assert numbers(other) == list(range(len(tokens)))


def test_without_torch_the_way_to_it_is_told(tokens, monkeypatch):
    monkeypatch.setitem(sys.modules, "pipeline.tokens.loader", None)
    with pytest.raises(MissingPartError, match=r"pip install 'tamis\[train\]'"):
        tokens.loader()


def test_wrong_requests_are_told(tokens, tmp_path):
    with pytest.raises(ConfigError, match="rank is 2 and world_size 2"):
        tokens.loader(rank=2, world_size=2)
    with pytest.raises(ConfigError, match="batch_size is 0"):
        tokens.loader(0)
    with pytest.raises(ConfigError, match="mask is 'full'"):
        tokens.loader(mask="full")
    other = write_tokens(tmp_path, num_documents=40)
    with pytest.raises(ConfigError, match="of other tokens"):
        other.loader().load_state_dict(tokens.loader().state_dict())


# The mask: a document in a packed sequence is what it is alone.


class Transformer(torch.nn.Module):
    """A causal transformer, small and in float64, with learnt places or rotary ones; weights at random."""

    def __init__(self, rotary: bool, width: int = 32, num_heads: int = 4, num_layers: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.rotary, self.num_heads = rotary, num_heads
        self.embed, self.places = torch.nn.Embedding(260, width), torch.nn.Embedding(LENGTH, width)
        self.layers = torch.nn.ModuleList(
            torch.nn.ModuleDict(
                {
                    "qkv": torch.nn.Linear(width, 3 * width),
                    "out": torch.nn.Linear(width, width),
                    "up": torch.nn.Linear(width, 4 * width),
                    "down": torch.nn.Linear(4 * width, width),
                }
            )
            for _ in range(num_layers)
        )
        self.head = torch.nn.Linear(width, 260)
        self.double()

    def forward(self, ids, position_ids, attend):
        x = self.embed(ids)
        if not self.rotary:
            x = x + self.places(position_ids)
        norm = torch.nn.functional.layer_norm
        for layer in self.layers:
            qkv = layer["qkv"](norm(x, x.shape[-1:]))
            q, k, v = qkv.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
            if self.rotary:
                q, k = self.turned(q, position_ids), self.turned(k, position_ids)
            x = x + layer["out"](attend(q, k, v).transpose(1, 2).flatten(2))
            x = x + layer["down"](torch.relu(layer["up"](norm(x, x.shape[-1:]))))
        return self.head(x)

    @staticmethod
    def turned(x, position_ids):
        half = x.shape[-1] // 2
        angles = position_ids[:, None, :, None] / 100 ** (torch.arange(half, dtype=torch.float64) / half)
        a, b = x[..., :half], x[..., half:]
        return torch.cat([a * angles.cos() - b * angles.sin(), a * angles.sin() + b * angles.cos()], -1)


def causal(q, k, v):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def largest_difference(model, batch, attend, position_ids) -> float:
    """Between the logits of each document in its sequence and those of it alone."""
    with torch.no_grad():
        packed = model(batch["input_ids"], position_ids, attend).flatten(0, 1)
        ids, worst = batch["input_ids"].flatten(), 0.0
        for low, high in pairwise(batch["cu_seqlens"].tolist()):
            alone = model(ids[None, low:high], torch.arange(high - low)[None], causal)[0]
            worst = max(worst, float((packed[low:high] - alone).abs().max()))
    return worst


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_a_document_in_a_sequence_is_what_it_is_alone(tokens, rotary):
    from torch.nn.attention.flex_attention import flex_attention

    model = Transformer(rotary)
    dense = next(iter(tokens.loader(8, mask="dense")))
    blocks = next(iter(tokens.loader(8, mask="block")))

    def with_mask(q, k, v):
        return torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=dense["attention_mask"])

    def flex(q, k, v):
        return flex_attention(q, k, v, block_mask=blocks["block_mask"])

    assert len(dense["cu_seqlens"]) > 12
    assert largest_difference(model, dense, with_mask, dense["position_ids"]) < 1e-5
    assert largest_difference(model, dense, flex, dense["position_ids"]) < 1e-5
    assert largest_difference(model, dense, causal, dense["position_ids"]) > 1e-2
    if not rotary:  # rotary places are relative, so they need not begin anew
        running = torch.arange(LENGTH).expand(8, -1)
        assert largest_difference(model, dense, with_mask, running) > 1e-2


# The readers that the formats are for.


def test_datatrove_reads_raw_files(tmp_path):
    from datatrove.utils.dataset import DatatroveFolderDataset

    tokens = write_tokens(tmp_path, "raw")
    theirs = DatatroveFolderDataset(
        str(tmp_path / "train"), LENGTH - 1, filename_pattern="*.bin", token_size=4, return_positions=True
    )
    assert len(theirs) == len(tokens)
    for i, ours in enumerate(tokens):
        sample = theirs[i]
        assert sample["input_ids"].tolist() == ours.input_ids.tolist()
        assert sample["positions"].tolist() == ours.position_ids.tolist()


def test_datasets_reads_parquet(tokens, tmp_path):
    datasets = pytest.importorskip("datasets", reason="datasets is not installed")
    files = sorted(str(path) for path in Path(tokens.folder, "train").glob("*.parquet"))
    theirs = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path))
    assert len(theirs) == len(tokens)
    for ours, row in zip(tokens, theirs, strict=True):
        assert row["input_ids"] == ours.input_ids.tolist()
        assert row["document_starts"] == ours.document_starts.tolist()
        assert row["num_tokens"] == ours.num_tokens


def test_numpy_maps_raw_files_as_nanogpt_does(tmp_path):
    tokens = write_tokens(tmp_path, "raw")
    data = np.memmap(tmp_path / "train/00000.bin", dtype=np.uint32, mode="r")
    assert data[5 * LENGTH : 6 * LENGTH].tolist() == tokens[5].input_ids.tolist()


def read_megatron(stem: Path) -> list[list[int]]:
    """The documents of a Megatron file, by the definition of the format."""
    content = stem.with_suffix(".idx").read_bytes()
    assert content[:9] == b"MMIDIDX\x00\x00"
    version, code, num_sequences, num_documents = struct.unpack_from("<QBQQ", content, 9)
    assert (version, code) == (1, 4)
    lengths = np.frombuffer(content, "<i4", num_sequences, 34)
    places = np.frombuffer(content, "<i8", num_sequences, 34 + 4 * num_sequences)
    documents = np.frombuffer(content, "<i8", num_documents, 34 + 12 * num_sequences)
    assert len(content) == 34 + 12 * num_sequences + 8 * num_documents
    body = stem.with_suffix(".bin").read_bytes()
    return [
        [token for s in range(low, high) for token in np.frombuffer(body, "<i4", lengths[s], places[s]).tolist()]
        for low, high in pairwise(documents.tolist())
    ]


def test_megatron_files_are_as_the_format_is_defined(tmp_path):
    tokens = write_tokens(tmp_path, "megatron")
    found = [row for number in range(2) for row in read_megatron(tmp_path / f"train/{number:05d}")]
    assert found == everything(tokens).tolist()


@pytest.mark.filterwarnings("ignore")
def test_megatron_reads_its_files(tmp_path):
    if importlib.util.find_spec("megatron") is None:
        pytest.skip("megatron-core is not installed")
    from megatron.core.datasets.indexed_dataset import IndexedDataset

    tokens = write_tokens(tmp_path, "megatron")
    theirs = [IndexedDataset(str(tmp_path / f"train/{number:05d}"), mmap=True) for number in range(2)]
    assert [row.tolist() for part in theirs for row in part[:]] == everything(tokens).tolist()
    assert len(theirs[0].document_indices) == len(theirs[0]) + 1


@pytest.mark.filterwarnings("ignore")
def test_streaming_reads_mds(tmp_path):
    streaming = pytest.importorskip("streaming", reason="mosaicml-streaming is not installed")
    tokens = write_tokens(tmp_path, "mds")
    from pipeline.tokens.formats import mds_description

    assert _mds_index([], LENGTH) == {"version": 2, "shards": []}
    shards = []
    for part in tokens.manifest["splits"]["train"]["parts"]:
        name = part["path"].removeprefix("train/") + ".mds"
        size = (tmp_path / "train" / name).stat().st_size
        raw = {"basename": name, "bytes": size, "hashes": {}}
        shards.append({**mds_description(LENGTH), "raw_data": raw, "samples": part["sequences"], "zip_data": None})
    write_json(f"{tmp_path}/train/index.json", {"version": 2, "shards": shards})
    theirs = streaming.LocalDataset(local=str(tmp_path / "train"))
    assert len(theirs) == len(tokens)
    for i, ours in enumerate(tokens):
        assert theirs[i]["input_ids"].tolist() == ours.input_ids.tolist()
        assert theirs[i]["document_starts"] == ours.document_starts.tolist()
