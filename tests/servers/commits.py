"""Commits: how files are to be uploaded, and the request that changes a branch or opens a pull request."""

from fnmatch import fnmatchcase
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from tests.servers.api import named_repo, read_base64, read_json
from tests.servers.replies import Call, ProtocolViolation, Refused, Reply, answer
from tests.servers.repositories import Blob, Commit, Repository, regular_blob, track

if TYPE_CHECKING:
    from tests.servers.hub import Hub

MAX_PREUPLOAD = 256
SAMPLE_SIZE = 512  # bytes


def preupload(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    repo = named_repo(hub, call, groups, write=not call.flag("create_pr"))
    given = read_json(call, {"files": list, "gitIgnore": str})
    files = given["files"]
    if not 0 < len(files) <= MAX_PREUPLOAD:
        message = f"{len(files)} files in one preupload"
        raise ProtocolViolation(message)
    present = hub.revision(repo, groups["revision"]).files
    hosted = present[".gitignore"].content if ".gitignore" in present else b""
    assert isinstance(hosted, bytes)
    patterns = given.get("gitIgnore", hosted.decode()).split()
    told = []
    for file in files:
        path, size = read_json(call, {"path": str, "sample": str, "size": int}, file)["path"], file["size"]
        if len(read_base64(file["sample"])) != min(size, SAMPLE_SIZE):
            message = f"{path}: the sample is not the first {SAMPLE_SIZE} bytes"
            raise ProtocolViolation(message)
        check_path(path)
        mode = "lfs" if hub.is_large(path, size) else "regular"
        known = {"oid": present[path].etag} if path in present else {}
        ignored = any(fnmatchcase(part, pattern) for part in path.split("/") for pattern in patterns)
        told.append({"path": path, "uploadMode": mode, "shouldIgnore": ignored, **known})
    return answer({"files": told, "commitOid": hub.revision(repo, groups["revision"]).oid})


def commit(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    wants_pull = call.flag("create_pr")
    repo = named_repo(hub, call, groups, write=not wants_pull)
    if wants_pull and hub.caller(call) is None:
        raise Refused(401, "Invalid username or password.")
    header, operations = read_operations(call)
    with hub.lock:
        head = hub.revision(repo, groups["revision"])
        ref = groups["revision"].removeprefix("refs/heads/")
        if not wants_pull and ref not in repo.branches.keys() | repo.pulls.keys():
            raise Refused(400, f"{ref} is no branch")
        if header.get("parentCommit", head.oid) != head.oid:
            raise Refused(412, "A commit has happened since. Please refresh and try again.")
        files = apply(hub, repo, head, operations)
        number = len(repo.pulls) + 1
        ref = f"refs/pr/{number}" if wants_pull else ref
        title, description = header["summary"], header["description"]
        made = repo.commit(files, parent=head, ref=ref, title=title, description=description)
    web = f"{hub.endpoint}/{repo.web_path}"
    told = {"success": True, "commitOid": made.oid, "commitUrl": f"{web}/commit/{made.oid}", "hookOutput": ""}
    return answer(told | ({"pullRequestUrl": f"{web}/discussions/{number}"} if wants_pull else {}))


def read_operations(call: Call) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """Return the header and the operations of a commit, each with its fields."""
    if (call.header("content-type") or "") != "application/x-ndjson":
        message = f"Content-Type is {call.header('content-type')!r}"
        raise ProtocolViolation(message)
    shapes: dict[str, dict[str, type | tuple[type, ...]]] = {
        "header": {"summary": str, "description": str, "parentCommit": str},
        "file": {"path": str, "content": str, "encoding": str},
        "lfsFile": {"path": str, "algo": str, "oid": str, "size": int},
        "deletedFile": {"path": str},
        "deletedFolder": {"path": str},
    }
    try:
        lines = [read_json(call, {"key": str, "value": dict}, line) for line in call.lines()]
        operations = [(line["key"], read_json(call, shapes[line["key"]], line["value"])) for line in lines]
    except (ValueError, KeyError) as error:
        message = f"no commit: {error!r}"
        raise ProtocolViolation(message) from error
    if [key for key, _ in operations].index("header") != 0 or len(operations) == 1:
        message = f"a commit is one header and operations, not {[key for key, _ in operations]}"
        raise ProtocolViolation(message)
    if not operations[0][1]["summary"]:
        message = "a commit has no summary"
        raise ProtocolViolation(message)
    paths = [value["path"] for _, value in operations[1:]]
    if len(set(paths)) < len(paths):
        message = "a commit changes a path twice"
        raise ProtocolViolation(message)
    return operations[0][1], operations[1:]


def apply(
    hub: "Hub", repo: Repository, head: Commit, operations: list[tuple[str, dict[str, Any]]]
) -> dict[str, Blob]:
    """Return the files of the new commit."""
    files = dict(head.files)
    for key, value in operations:
        path = value["path"]
        check_path(path.rstrip("/"))
        if key == "file":
            content = read_base64(value["content"])
            if value["encoding"] != "base64" or hub.is_large(path, len(content)):
                message = f"{path} must be uploaded as a large file"
                raise ProtocolViolation(message)
            files[path] = regular_blob(content)
        elif key == "lfsFile":
            blob = hub.large(repo, value["oid"], value["size"])
            if value["algo"] != "sha256" or blob is None:
                raise Refused(400, f"{path}: the LFS pointer points to a file that was never uploaded")
            files[path] = blob
        elif key == "deletedFolder":
            files = {
                name: blob for name, blob in files.items() if not name.startswith(f"{path.rstrip('/')}/")
            }
        elif files.pop(path, None) is None:
            raise Refused(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
    folders = {str(folder) for path in files for folder in PurePosixPath(path).parents}
    if both := folders & files.keys():
        raise Refused(400, f"a file and a folder have one name: {sorted(both)}")
    return track(files, hub.rules.large_suffixes)


def check_path(path: str) -> None:
    if not path or any(part in {"", ".", "..", ".git"} for part in path.split("/")):
        message = f"{path!r} is no path in a repository"
        raise ProtocolViolation(message)


def list_commits(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    repo = named_repo(hub, call, groups)
    told = [
        {
            "id": made.oid,
            "title": made.title,
            "message": made.description,
            "authors": [{"user": made.author}],
            "date": f"{made.date:%Y-%m-%dT%H:%M:%S.000Z}",
        }
        for made in repo.history(hub.revision(repo, groups["revision"]))
    ]
    return answer(told, headers={"X-Total-Count": str(len(told))})
