"""The one text pass that all stages share: words, lines, paragraphs and sentences on Arrow's own buffers."""


def compile_kernels() -> None:
    """Compile every kernel, or load it from Numba's cache: importing a module with explicit signatures does either."""
    import stages.dedup.kernels_components
    import stages.dedup.kernels_fold
    import stages.dedup.kernels_lines
    import stages.dedup.kernels_minhash
    import stages.fasttext.kernels_scores
    import stages.heuristics.kernels_c4
    import stages.heuristics.kernels_counts
    import stages.heuristics.kernels_divergence
    import stages.heuristics.kernels_ngrams
    import stages.kernels_language
    import stages.kernels_lexicon
    import stages.kernels_quality  # noqa: F401
