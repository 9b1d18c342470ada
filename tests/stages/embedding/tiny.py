"""Encoders small enough to make in a test."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from stages.embedding.e5 import write_safetensors

LETTERS = "abcdefghijklmnopqrstuvwxyzäöüß0123456789.,!?'-#中文字"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "cat", "sat", "mat", "dog", "##s", "##ing", "un", *LETTERS]
VOCABULARY = {word: i for i, word in enumerate([*WORDS, *(f"##{letter}" for letter in LETTERS)])}


def tokenizer(lowercase: bool = True) -> Tokenizer:
    made = Tokenizer(models.WordPiece(VOCABULARY, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase, strip_accents=False)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    return made


def rows(width: int = 24) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(VOCABULARY), width)).astype(np.float32)


def static_folder(folder: Path, lowercase: bool = True, width: int = 24) -> Path:
    """A static model as sentence-transformers saves it."""
    home = folder / "0_StaticEmbedding"
    home.mkdir(parents=True)
    module = {"idx": 0, "name": "0", "path": home.name, "type": "sentence_transformers.models.StaticEmbedding"}
    (folder / "modules.json").write_text(json.dumps([module]))
    write_safetensors(home / "model.safetensors", {"embedding.weight": rows(width)})
    tokenizer(lowercase).save(str(home / "tokenizer.json"))
    return folder


def transformer_folder(folder: Path) -> Path:
    """A BERT of two layers with random weights, as sentence-transformers saves it; needs torch."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(VOCABULARY), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        max_position_embeddings=40, pad_token_id=0,
    )  # fmt: skip
    bert = folder / "bert"
    BertModel(config).save_pretrained(bert)
    names = {"cls_token": "[CLS]", "sep_token": "[SEP]", "unk_token": "[UNK]", "pad_token": "[PAD]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer(), model_max_length=32, **names).save_pretrained(bert)
    modules = [Transformer(str(bert), max_seq_length=32), Pooling(32, "mean"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder / "model"))
    return folder / "model"
