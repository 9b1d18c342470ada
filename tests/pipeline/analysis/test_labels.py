"""What people said of dropped documents."""

import pytest

from pipeline.analysis import labels
from pipeline.runs import Run
from stages.errors import ConfigError


def test_the_last_label_of_a_document_counts(tmp_path):
    run = Run(str(tmp_path))
    assert labels.precision(run, "gopher.word_count", 100) is None
    for address, label in ((1, "agree"), (2, "agree"), (2, "wrong drop"), (3, "agree"), (4, "agree")):
        labels.add(run, "gopher.word_count", address, label)
    labels.add(run, "c4.sentence_count", 1, "wrong drop")
    found = labels.precision(run, "gopher.word_count", 100)
    assert (found.agree, found.labelled, found.share.value) == (3, 4, 0.75)
    assert 0.2 < found.share.low < 0.75 < found.share.high < 1
    everything = labels.precision(run, "gopher.word_count", 4)
    assert (everything.share.low, everything.share.high) == (0.75, 0.75), "all were looked at"


def test_wrong_labels(tmp_path):
    with pytest.raises(ConfigError, match="agree or wrong drop"):
        labels.add(Run(str(tmp_path)), "x.y", 1, "maybe")
    with pytest.raises(ConfigError, match="on a disk"):
        labels.add(Run("memory://run"), "x.y", 1, "agree")
