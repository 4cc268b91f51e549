"""The JavaScript client reads from the loopback hub what the Python library wrote."""

import hashlib
import random
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

from tests.servers.hub import Hub
from tests.servers.node import NodeClient

REPO = "alice/model"
WEIGHTS = random.Random(4).randbytes(300_000)  # noqa: S311 - test data


def test_a_repository_is_listed_and_downloaded(any_hub: Hub, node_client: NodeClient, tmp_path: Path) -> None:
    files = {"deep/weights.bin": WEIGHTS, "notes.txt": b"notes"}
    api = HfApi(endpoint=any_hub.endpoint, token=any_hub.token)
    api.create_repo(REPO, private=True)
    api.create_commit(REPO, [CommitOperationAdd(*item) for item in files.items()], commit_message="files")

    listed = node_client.download(any_hub.endpoint, any_hub.token, REPO, tmp_path / "out")

    assert {path: (tmp_path / "out" / path).read_bytes() for path in files} == files
    found = {entry["path"]: (entry["size"], entry["sha256"]) for entry in listed}
    assert found["deep/weights.bin"] == (len(WEIGHTS), hashlib.sha256(WEIGHTS).hexdigest())
    assert found["notes.txt"] == (5, None)
