"""What the errors of storage libraries mean: each library's own exceptions, raised."""

import asyncio

import aiohttp
import botocore.exceptions
import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tasks.storage_errors import Trouble, storage_errors, trouble


def of_s3(status: int) -> Exception:
    return botocore.exceptions.ClientError({"ResponseMetadata": {"HTTPStatusCode": status}, "Error": {}}, "GetObject")


def of_http(status: int) -> Exception:
    request = aiohttp.RequestInfo(URL("http://h/"), "GET", CIMultiDictProxy(CIMultiDict()), URL("http://h/"))
    return aiohttp.ClientResponseError(request, (), status=status)


def of_azure(status: int) -> Exception:
    exceptions = pytest.importorskip("azure.core.exceptions")

    class Answer:
        reason = "no"
        status_code = status

        def text(self) -> str:
            return ""

    kinds = {401: exceptions.ClientAuthenticationError, 404: exceptions.ResourceNotFoundError}
    return kinds.get(status, exceptions.HttpResponseError)(response=Answer())


def of_gcs(status: int) -> Exception:
    return pytest.importorskip("gcsfs.retry").HttpError({"code": status, "message": "no"})


def of_hugging_face(status: int) -> Exception:
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError

    return HfHubHTTPError("no", response=httpx2.Response(status, request=httpx2.Request("GET", "http://h/")))


BY_STATUS = [
    (401, Trouble.DENIED),
    (403, Trouble.DENIED),
    (404, Trouble.MISSING),
    (412, Trouble.EXISTS),
    (429, Trouble.BUSY),
    (500, Trouble.BUSY),
    (503, Trouble.BUSY),
    (418, Trouble.OTHER),
]


@pytest.mark.parametrize("answered", [of_s3, of_http, of_azure, of_gcs, of_hugging_face])
@pytest.mark.parametrize(("status", "means"), BY_STATUS)
def test_an_answer_means_the_same_whoever_passes_it_on(answered, status, means):
    error = answered(status)
    assert trouble(error) is means
    assert isinstance(error, storage_errors())


def of_class(name: str, *given: object) -> Exception:
    module, _, kind = name.rpartition(".")
    raised: Exception = getattr(pytest.importorskip(module), kind)(*given)
    return raised


@pytest.mark.parametrize(
    ("name", "given", "means"),
    [
        ("builtins.FileNotFoundError", (2, "no"), Trouble.MISSING),
        ("builtins.PermissionError", (13, "no"), Trouble.DENIED),
        ("builtins.ConnectionResetError", (104, "no"), Trouble.OUT_OF_REACH),
        ("builtins.TimeoutError", (), Trouble.OUT_OF_REACH),
        ("builtins.OSError", (28, "full"), Trouble.FULL),
        ("builtins.OSError", (116, "stale"), Trouble.OUT_OF_REACH),
        ("builtins.OSError", (5, "a bad block"), Trouble.OTHER),
        ("asyncio.TimeoutError", (), Trouble.OUT_OF_REACH),
        ("aiohttp.ServerDisconnectedError", (), Trouble.OUT_OF_REACH),
        ("azure.core.exceptions.ServiceRequestError", ("no",), Trouble.OUT_OF_REACH),
        ("azure.core.exceptions.ServiceResponseError", ("no",), Trouble.OUT_OF_REACH),
        ("google.auth.exceptions.DefaultCredentialsError", ("no",), Trouble.DENIED),
        ("google.auth.exceptions.RefreshError", ("no",), Trouble.DENIED),
        ("google.auth.exceptions.TransportError", ("no",), Trouble.OUT_OF_REACH),
        ("requests.exceptions.ConnectionError", ("no",), Trouble.OUT_OF_REACH),
        ("paramiko.ssh_exception.AuthenticationException", ("no",), Trouble.DENIED),
        ("paramiko.ssh_exception.SSHException", ("no",), Trouble.OUT_OF_REACH),
    ],
)
def test_errors_without_an_answer(name, given, means):
    error = of_class(name, *given)
    assert trouble(error) is means
    assert isinstance(error, storage_errors())


@pytest.mark.parametrize(
    ("error", "means"),
    [
        (botocore.exceptions.NoCredentialsError(), Trouble.DENIED),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="http://h"), Trouble.OUT_OF_REACH),
        (botocore.exceptions.ReadTimeoutError(endpoint_url="http://h"), Trouble.OUT_OF_REACH),
    ],
)
def test_errors_of_s3_without_an_answer(error, means):
    assert trouble(error) is means and isinstance(error, storage_errors())


@pytest.mark.parametrize("error", [ValueError("ours"), KeyError("ours"), asyncio.InvalidStateError()])
def test_our_own_errors_are_none_of_storage(error):
    assert not isinstance(error, storage_errors()) and trouble(error) is Trouble.OTHER
