"""Whatever a request may look like under the OpenAPI description, the server answers without failing."""

import re
import tempfile
from pathlib import Path

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from review import Queue
from review.web.app import create_app
from review.web.sessions import COOKIE
from tests.review.samples import make_items

_FOLDER = tempfile.TemporaryDirectory()
_QUEUE = Queue.open(str(Path(_FOLDER.name) / "queue.db"), patience=5)
_QUEUE.set_vocabulary(["car"], ["pallet"])
_QUEUE.enqueue(make_items(30))
_APP = create_app(_QUEUE)


def _signed_headers() -> dict[str, str]:
    client = TestClient(_APP, base_url="http://localhost")
    found = re.search(r'name="csrf" content="([^"]+)"', client.get("/", headers={"Accept": "text/html"}).text)
    assert found is not None
    return {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}", "X-CSRF-Token": found[1], "Host": "localhost"}


_HEADERS = _signed_headers()
schema = schemathesis.openapi.from_asgi("/api/openapi.json", _APP, headers={"Host": "localhost"})


@pytest.mark.whole
@schema.parametrize()
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_makes_the_server_fail(case: schemathesis.Case) -> None:
    answer = case.call(headers=_HEADERS)
    checks = [not_a_server_error, content_type_conformance, response_schema_conformance]
    case.validate_response(answer, checks=checks)
