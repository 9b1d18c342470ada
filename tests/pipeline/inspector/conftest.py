"""Runs to look into, and clients that look."""

import pytest
from starlette.testclient import TestClient

from pipeline.inspector.app import make_app
from pipeline.inspector.page import Inspected
from tests.inspected import inspected_run

HOME = "http://127.0.0.1:7707"


@pytest.fixture(scope="package")
def inspected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inspector")
    other = inspected_run(folder, "strict", set={"stages.gopher.word_count.min": 120})
    return Inspected(inspected_run(folder), other)


@pytest.fixture(scope="package")
def client(inspected):
    return TestClient(make_app(inspected), HOME)
