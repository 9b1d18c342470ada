"""A stage from outside: drops documents that SHOUT."""

from stages.contract import Bounds, Filter, Ratio, Signals
from stages.text.batch import TextBatch


class Shout(Filter):
    """Upper case as a sign of spam. Source: folklore."""

    upper_ratio: Ratio = Bounds(max=0.5)
    """Upper-case letters over code points; null for an empty text."""

    def measure(self, batch: TextBatch) -> Signals:
        ratios = []
        for text in batch.table["text"].to_pylist():
            ratios.append(sum(map(str.isupper, text)) / len(text) if text else float("nan"))
        return {"upper_ratio": ratios}
