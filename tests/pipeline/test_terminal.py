"""What a person sees of a run: lines that are easily wrong and hard to see in whole runs."""

from pipeline import stats as counting
from pipeline.terminal import encoders


def test_an_encoder_tells_its_speed_its_padding_and_its_memory():
    stats = counting.empty(["embedding", "mix"])
    assert encoders(stats) == []
    counts = stats["stages"]["embedding"]
    counts |= {"documents_in": 1000, "seconds": 2.0}
    counting.merge_counters(counts, {"tokens": 30_000, "padded_tokens": 40_000, "peak_gpu_bytes": 3e9})
    counting.merge_counters(stats["stages"]["mix"], {"amount.en": 7})
    assert encoders(stats) == [
        "embedding: 500 documents/s · 15 k tokens/s of one worker · 25.0% padding · 3 GB peak GPU memory"
    ]
