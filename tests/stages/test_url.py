"""Addresses against lists."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.contract import decide, run_stage
from stages.errors import StageError
from stages.text.batch import TextBatch
from stages.url import Url


@pytest.fixture
def lists(tmp_path):
    (tmp_path / "hosts").write_text(
        "# a hosts file\n0.0.0.0 Bad.example\n127.0.0.1\tworse.test # why\n\nhttps://www.full.test/path\n"
    )
    (tmp_path / "urls.txt").write_text("http://news.test/page?id=1\n")
    (tmp_path / "hard.txt").write_text("casino\n")
    (tmp_path / "soft.txt").write_text("free\nwin\nbonus\n")
    (tmp_path / "parts.txt").write_text("freespins\n")
    pq.write_table(pa.table({"domain": ["column.test", None]}), tmp_path / "list.parquet")
    return tmp_path


def measure(url: str | None, **fields):
    stage = Url(**fields)
    batch = TextBatch.from_texts([""], url=pa.array([url], pa.string()))
    _, columns = run_stage(stage, batch)
    dropped = [name for name, mask in decide(stage, columns, None).items() if mask[0]]
    return {name: column[0].as_py() for name, column in columns.items()}, dropped


@pytest.mark.parametrize(
    ("url", "listed"),
    [
        ("http://bad.example/", True),
        ("https://WWW.BAD.example:8080/x", True),
        ("http://deep.sub.bad.example/x", True),
        ("http://bad.example./x", True),
        ("http://user:pw@worse.test/x", True),
        ("http://www.full.test/other", True),
        ("http://notbad.example/", False),
        ("http://bad.example.com/", False),
        ("http://good.test/bad.example", False),
        ("http://column.test", True),
        ("http://[broken/", False),
    ],
)
def test_a_listed_domain_covers_its_subdomains(lists, url, listed):
    files = (str(lists / "hosts"), f"{lists / 'list.parquet'}:domain")
    assert measure(url, domains=files)[0]["domain_listed"] is listed


def test_www_is_a_prefix_not_a_set_of_letters(lists):
    """Trap: stripping the characters of `www.` makes `f.org` of `wwf.org`."""
    (lists / "d.txt").write_text("f.org\n")
    assert measure("http://wwf.org/", domains=str(lists / "d.txt"))[0]["domain_listed"] is False


def test_whole_addresses(lists):
    fields = {"addresses": str(lists / "urls.txt")}
    assert measure("https://www.news.test/page?id=1", **fields)[1] == ["address_listed"]
    assert measure("https://www.news.test/page?id=2", **fields)[1] == []


def test_words_are_compared_in_lower_case(lists):
    """Trap: datatrove compares its hard and soft words with the address as written."""
    found, dropped = measure("http://a.test/Big-CASINO/casino", banned_words=str(lists / "hard.txt"))
    assert (found["banned_word_count"], dropped) == (2, ["banned_word_count"])


def test_one_suspect_word_is_allowed_and_repeats_do_not_count(lists):
    fields = {"suspect_words": str(lists / "soft.txt")}
    assert measure("http://a.test/free/free", **fields)[1] == []
    assert measure("http://a.test/free/win", **fields)[1] == ["suspect_word_count"]


def test_parts_cross_words(lists):
    found, dropped = measure("http://a.test/get-free-spins", banned_parts=str(lists / "parts.txt"))
    assert (found["banned_part_count"], dropped) == (1, ["banned_part_count"])


def test_without_an_address_or_a_list_nothing_can_be_told(lists):
    assert set(measure(None, domains=str(lists / "hosts"))[0].values()) == {None}
    known = measure("http://bad.example/")[0]
    assert {name for name, value in known.items() if value is not None} == {"host", "domain"}
    assert measure("http://bad.example/")[1] == []


def test_documents_without_a_url_column():
    _, columns = run_stage(Url(), TextBatch.from_texts(["a", "b"]))
    assert all(column.null_count == 2 for column in columns.values())


def test_a_list_that_is_not_there_is_named(tmp_path):
    with pytest.raises(StageError, match=r"the list .*nothing\.txt cannot be read"):
        measure("http://a.test", domains=str(tmp_path / "nothing.txt"))


def test_lists_are_part_of_the_fingerprint(lists):
    stage = Url(domains=str(lists / "hosts"))
    assert (
        stage.assets()[str(lists / "hosts")] != Url(domains=str(lists / "soft.txt")).assets()[str(lists / "soft.txt")]
    )


@pytest.mark.parametrize(
    ("url", "host", "domain"),
    [
        ("https://www.Example.com:8080/a", "example.com", "example.com"),
        ("http://a.b.example.com", "a.b.example.com", "example.com"),
        ("http://shop.example.co.uk/x", "shop.example.co.uk", "example.co.uk"),
        ("http://example.co.uk", "example.co.uk", "example.co.uk"),
        ("http://de.wikipedia.org", "de.wikipedia.org", "wikipedia.org"),
        ("http://a.com.xyz", "a.com.xyz", "com.xyz"),
        ("http://127.0.0.1:80/", "127.0.0.1", "127.0.0.1"),
        ("http://[2001:db8::1]/", "2001:db8::1", "2001:db8::1"),
        ("localhost", "localhost", "localhost"),
        ("http://[broken/", None, None),
        (None, None, None),
        ("", None, None),
    ],
)
def test_hosts_and_domains(url, host, domain):
    signals, dropped = measure(url)
    assert (signals["host"], signals["domain"]) == (host, domain)
    assert not dropped
