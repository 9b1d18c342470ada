"""The stage that keeps one version of each page: documents of one address, however it is written."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import xxhash

from stages.dedup.duplicates import Duplicates
from stages.text.batch import TextBatch

TRACKING = frozenset(
    "dclid fbclid gclid igshid mc_cid mc_eid msclkid twclid wbraid yclid _ga phpsessid jsessionid".split()
)
"""Parameters that say where a visitor came from or who it is; so do those that begin with `utm_`."""
DEFAULT_PORTS = {"http": 80, "https": 443}
_SESSION_IN_PATH = re.compile(r";jsessionid=[^/?#]*", re.IGNORECASE)


class SameUrl(Duplicates):
    """Documents of one address, of which Llama 3 keeps the newest (arXiv 2407.21783, section 3.1.1, "URL-level
    de-duplication").

    Write `priority: [-date]`, with the column that says when a page was fetched (`date` in WARC and WET files; any
    format that sorts, such as ISO 8601). Without it, the first in the input is kept. Addresses are compared in a
    canonical form: host in lower case without `www.`, user and default port; percent-encoding and the order of
    parameters as `w3lib.url.canonicalize_url` has them; without scheme, fragment, a last slash, session ids and the
    parameters that track visitors (`utm_…`, `gclid`, …). Documents without an address are linked to none.
    """

    def sketch(self, batch: TextBatch) -> pa.Table:
        urls = batch.table["url"].to_pylist() if "url" in batch.table.column_names else []
        forms = [(row, form) for row, url in enumerate(urls) if url and (form := canonical(url))]
        rows = np.array([row for row, _ in forms], np.int64)
        digests = b"".join([xxhash.xxh3_128_digest(form.encode("utf-8", "surrogatepass")) for _, form in forms])
        keys = np.frombuffer(digests, ">u8").astype(np.uint64).reshape(-1, 2)
        return pa.table({"row": rows, "key": keys[:, 0], "rest": keys[:, 1] | np.uint64(1)})


def canonical(url: str) -> str | None:
    """The address in the form that is compared; None for what is none."""
    from w3lib.url import canonicalize_url

    url = url.strip()
    try:
        parts = urlsplit(canonicalize_url(_SESSION_IN_PATH.sub("", url if "://" in url else f"http://{url}")))
        host, port = (parts.hostname or "").rstrip(".").removeprefix("www."), parts.port
    except ValueError:
        return None
    if not host:
        return None
    place = host if port in (None, DEFAULT_PORTS.get(parts.scheme)) else f"{host}:{port}"
    kept = [pair for pair in parts.query.split("&") if pair and not _tracks(pair.partition("=")[0].lower())]
    return f"{place}{parts.path.rstrip('/')}{'?' if kept else ''}{'&'.join(kept)}"


def _tracks(parameter: str) -> bool:
    return parameter in TRACKING or parameter.startswith("utm_")
