"""Documents as vectors: encoders, and the stage that runs them.

models.py          which encoder a name stands for, its files, and how wide its vectors are
encoder.py         what an encoder answers, and the one that belongs to a model
static.py          a vector a word, their mean: plain numpy and Numba, no torch
transformer.py     any sentence-transformers model, on a CPU or a GPU
batches.py         long documents as windows, windows as batches by tokens
use.py             the multilingual Universal Sentence Encoder, in numpy
e5.py              multilingual-e5-small out of two packages
vectors.py         `embedding.vector`: between Arrow and numpy
stage.py           the stage `embedding`
head.py            what the embedding says in a judge: `nsfw` and `quality`
"""
