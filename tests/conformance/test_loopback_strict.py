"""The loopback hub notes every breach of the protocol, and stops with its test."""

import http.client
import json
import random
import socket
from typing import Literal
from urllib.parse import urlsplit

import httpx2
import pytest
from huggingface_hub import CommitOperationAdd, HfApi

from tests.servers.hub import Hub

REPO = "alice/model"
WEIGHTS = random.Random(2).randbytes(300_000)  # noqa: S311 - test data


def add(path: str, content: bytes) -> CommitOperationAdd:
    return CommitOperationAdd(path_in_repo=path, path_or_fileobj=content)


def client(hub: Hub, token: str | Literal[False] | None = None) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token=hub.token if token is None else token)


def send(hub: Hub, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None) -> int:
    connection = http.client.HTTPConnection(urlsplit(hub.endpoint).netloc)
    told = {"User-Agent": "test", "Authorization": f"Bearer {hub.token}", "Content-Type": "application/json"}
    connection.request(method, path, body, {**told, **(headers or {})})
    code = connection.getresponse().status
    connection.close()
    return code


NDJSON = {"Content-Type": "application/x-ndjson"}
LFS = dict.fromkeys(("Accept", "Content-Type"), "application/vnd.git-lfs+json")
HEADER = json.dumps({"key": "header", "value": {"summary": "s", "description": ""}}).encode() + b"\n"


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "what"),
    [
        ("GET", "/api/models/alice/model/unheard-of", b"", {}, "no such path"),
        ("POST", "/api/validate-yaml", b"{", {}, "no JSON"),
        ("POST", "/api/validate-yaml", b"{}", {}, "missing field"),
        ("POST", "/api/repos/create", b'{"name": "x", "organization": null, "x": 1}', {}, "unexpected field"),
        ("POST", "/api/repos/create", b'{"name": 1, "organization": null}', {}, "field 'name'"),
        ("POST", "/api/validate-yaml", b"{}", {"Content-Type": "text/plain"}, "Content-Type"),
        ("GET", "/api/whoami-v2", b"", {"User-Agent": ""}, "no User-Agent"),
        ("GET", "/api/whoami-v2", b"", {"Authorization": "Basic YTpi"}, "no bearer token"),
        ("POST", "/api/models/alice/model/commit/main", HEADER, NDJSON, "a commit is one header"),
        (
            "POST",
            "/api/models/alice/model/commit/main",
            HEADER + b'{"key": "deletedFile", "value": {"path": "../x"}}',
            NDJSON,
            "no path in a repository",
        ),
        ("POST", "/api/models/alice/model/preupload/main", b'{"files": []}', {}, "0 files"),
        (
            "POST",
            "/api/models/alice/model/preupload/main",
            b'{"files": [{"path": "a", "sample": "", "size": 1}]}',
            {},
            "the sample is not",
        ),
        (
            "POST",
            "/api/models/alice/model/commit/main",
            HEADER + b'{"key": "file", "value": {"path": "a.bin", "content": "YQ==", "encoding": "base64"}}',
            NDJSON,
            "must be uploaded as a large file",
        ),
        (
            "POST",
            "/alice/model.git/info/lfs/objects/batch",
            b'{"operation": "download", "transfers": ["basic"], "objects": [], "hash_algo": "sha256"}',
            LFS,
            "no LFS upload",
        ),
        ("POST", "/alice/model.git/info/lfs/objects/batch", b"{}", {}, "media type"),
        ("GET", "/alice/model/resolve/main/.gitattributes", b"", {"Range": "bytes=x"}, "malformed Range"),
    ],
)
def test_a_breach_of_the_protocol_fails_the_test(
    hub: Hub, *, method: str, path: str, body: bytes, headers: dict[str, str], what: str
) -> None:
    hub.create_repo(REPO)

    assert send(hub, method, path, body, headers) == 400

    with pytest.raises(AssertionError, match=what):
        hub.check()
    hub.ledger.violations.clear()


def test_a_token_at_the_storage_origin_fails_the_test(hub: Hub) -> None:
    httpx2.get(f"{hub.storage_url}/objects/{'0' * 64}/x", headers={"Authorization": f"Bearer {hub.token}"})

    with pytest.raises(AssertionError, match="the token went to the storage origin"):
        hub.check()
    hub.ledger.violations.clear()


def test_a_wrong_digest_in_xet_fails_the_test(xet_hub: Hub) -> None:
    xet_hub.create_repo(REPO)
    operation = add("w.bin", WEIGHTS)
    operation.upload_info.sha256 = bytes(32)

    client(xet_hub).create_commit(REPO, [operation], commit_message="wrong")

    with pytest.raises(AssertionError, match="not those of SHA-256"):
        xet_hub.check()
    xet_hub.ledger.violations.clear()


def test_an_upload_that_is_cut_leaves_nothing(hub: Hub) -> None:
    hub.create_repo(REPO)
    host, port = urlsplit(hub.storage_url).netloc.split(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"PUT /upload/0 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(100) == b""

    assert not list((hub.folder / "incoming").iterdir())
    assert client(hub).repo_exists(REPO)


def test_a_large_file_that_was_never_uploaded_is_refused(hub: Hub) -> None:
    hub.create_repo(REPO)
    line = {"key": "lfsFile", "value": {"path": "w.bin", "algo": "sha256", "oid": "0" * 64, "size": 5}}

    code = send(
        hub, "POST", "/api/models/alice/model/commit/main", HEADER + json.dumps(line).encode(), NDJSON
    )

    assert code == 400
    assert "w.bin" not in hub.repo(REPO).head.files


def test_a_repository_has_a_name_that_the_hub_allows(hub: Hub) -> None:
    body = b'{"name": "a--b", "organization": null}'

    assert send(hub, "POST", "/api/repos/create", body) == 400
    assert not hub.repositories
