"""What the embedding of a document says in a judge: a logistic head on the vector, and how it joins the judge's score.

A head holds for one encoder. It joins where a stage `embedding` has run before with that encoder; everywhere else the
judge's score is what it is without. Score = sigmoid(join[0] + join[1:-1] · columns + join[-1] * logit), where `columns`
are what the judge combines anyway, and `logit` is the head's, bounded. Both are fitted on sources that neither had
seen.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stages.embedding.vectors import COLUMN, to_numpy
from stages.errors import AssetError, StageError
from stages.files import file_hash
from stages.text.batch import TextBatch

FOLDER = Path(__file__).parents[1] / "models"
ENCODER = "embedding.encoder"
MAX_LOGIT = 8.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EmbeddingHead:
    """A head, and how it joins."""

    encoder: str
    """Identity of the encoder: see `EmbeddingModel.identity`."""
    weights: Floats
    """`float64[d]`."""
    bias: float
    join: Floats
    """`float64[k + 2]`: an intercept, a coefficient for each of the judge's k columns, and the head's."""

    def logit(self, vectors: npt.NDArray[np.float16]) -> Floats:
        """Of `float16[n, d]`, `float64[n]`, between -`MAX_LOGIT` and `MAX_LOGIT`. A row's depends on the row alone."""
        products = vectors.astype(np.float64) * self.weights  # a matrix product would round by the number of rows
        return np.clip(self.bias + products.sum(axis=1), -MAX_LOGIT, MAX_LOGIT)

    def joined(self, columns: Floats, logit: Floats) -> Floats:
        """The judge's score with the embedding, `float64[n]`, from its columns, `float64[n, k]`."""
        return sigmoid(self.join[0] + (columns * self.join[1:-1]).sum(axis=1) + self.join[-1] * logit)


@dataclass(frozen=True, eq=False)
class Heard:
    """What a head says of a batch; NaN in `logit`, `float64[n]`, where a document has no vector."""

    head: EmbeddingHead
    logit: Floats

    @property
    def score(self) -> npt.NDArray[np.float32]:
        return sigmoid(self.logit).astype(np.float32)

    def joined(self, columns: Floats, without: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
        """The judge's score: with the embedding, or, for a document that has no vector, as it is `without`."""
        joined = self.head.joined(columns, np.nan_to_num(self.logit))
        return np.where(np.isnan(self.logit), without, joined).astype(np.float32)


def hear(judge: str, batch: TextBatch, own: str | None, any_head: bool = True) -> Heard | None:
    """What the head for the batch's vectors says; None if there are no vectors, or no head for their encoder.

    Args:
        own: the file of a user's own head, which must fit; else the one that comes with Tamis, if `any_head`.

    Raises StageError when a head of the user's has no vectors to read, or not those of its encoder.
    """
    column = batch.signals.get(COLUMN)
    if column is None:
        if own is not None:
            raise StageError(
                f"{judge}.embedding_head reads {COLUMN}, which no earlier stage made: put it before {judge}"
            )
        return None
    found = [name for name in batch.signals[ENCODER].unique().to_pylist() if name is not None]
    head = read_head(Path(own)) if own is not None else default_head(judge, found[0]) if found and any_head else None
    if head is None:
        return None
    vectors, is_there = to_numpy(column)
    wrong = [name for name in found if not is_same(name, head.encoder)]
    if wrong or vectors.shape[1] != len(head.weights):
        raise StageError(
            f"{judge}: the head is for vectors of {head.encoder} ({len(head.weights)} numbers), and the documents have "
            f"those of {wrong[0] if wrong else 'another'} ({vectors.shape[1]}). Train one: tamis train {judge} "
            "--features embedding --model NAME"
        )
    return Heard(head, np.where(is_there, head.logit(vectors), np.nan))


def head_files(judge: str, own: str | None) -> dict[str, str]:
    """Name and hash of the heads that a judge may use, for its fingerprint."""
    files = [Path(own)] if own is not None else default_files(judge)
    return {f"embedding_head {path.name}": file_hash(path) for path in files}


def default_files(judge: str) -> list[Path]:
    """The heads that come with Tamis."""
    return sorted(FOLDER.glob(f"{judge}.*.npz"))


def default_head(judge: str, encoder: str) -> EmbeddingHead | None:
    heads = (read_head(path) for path in default_files(judge))
    return next((head for head in heads if is_same(head.encoder, encoder)), None)


def is_same(one: str, other: str) -> bool:
    """Whether two identities are of one encoder, whatever it is called."""
    return one.rpartition(":")[2] == other.rpartition(":")[2]


def write_head(path: Path, head: EmbeddingHead) -> None:
    """Weights in float32."""
    arrays = {"weights": head.weights.astype(np.float32), "bias": np.float64(head.bias), "join": head.join}
    with zipfile.ZipFile(path, "w") as archive:  # as np.savez, but with one date: the same numbers, the same bytes
        for name, values in {"encoder": np.array(head.encoder), **arrays}.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as file:
                np.lib.format.write_array(file, np.asanyarray(values), allow_pickle=False)


@lru_cache(maxsize=8)
def read_head(path: Path) -> EmbeddingHead:
    """Raises AssetError when the file is not there or holds something else."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            weights, join = arrays["weights"].astype(np.float64), arrays["join"].astype(np.float64)
            head = EmbeddingHead(str(arrays["encoder"]), weights, float(arrays["bias"]), join)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise AssetError(f"{path} holds no head for embeddings: {error}") from error
    if weights.ndim != 1 or join.ndim != 1 or not all(np.isfinite(x).all() for x in (weights, join, head.bias)):
        raise AssetError(f"{path} holds no head for embeddings: {weights.shape} weights, {join.shape} to join")
    return head


def sigmoid(logit: Floats) -> Floats:
    return np.exp(-np.logaddexp(0.0, -logit))
