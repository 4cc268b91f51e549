"""The JSON half of the Hub: users, repositories, trees and refs; commits have a module of their own."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from tests.servers.replies import Call, ProtocolViolation, Refused, Reply, answer
from tests.servers.repositories import (
    DEFAULT_BRANCH,
    REPO_TYPES,
    Blob,
    Commit,
    Repository,
    tree_entries,
)

if TYPE_CHECKING:
    from tests.servers.hub import Hub

OPTIONAL = {
    "type",
    "visibility",
    "private",
    "sdk",
    "parentCommit",
    "gitIgnore",
    "ref",
    "message",
    "startingPoint",
}
KINDS = {name: kind for kind, name in REPO_TYPES.items()}
REPO_NAME = re.compile(r"(?!.*(--|\.\.|\.git$))[A-Za-z0-9][A-Za-z0-9._-]{0,94}(?<![.-])")
REF_NAME = re.compile(r"(?!.*(\.\.|//|@\{|\.lock$))[\w][\w./@+-]*(?<![./])")


def read_json(call: Call, fields: Mapping[str, type | tuple[type, ...]], of: Any = None) -> Any:
    """Return a JSON object that has these fields and no others, `OPTIONAL` ones excepted."""
    if of is None:
        media_type = (call.header("content-type") or "").partition(";")[0]
        if media_type not in {"application/json", "application/vnd.git-lfs+json"}:
            message = f"Content-Type is {media_type!r}"
            raise ProtocolViolation(message)
        try:
            of = call.json()
        except ValueError as error:
            message = f"the body is no JSON: {error}"
            raise ProtocolViolation(message) from error
    if not isinstance(of, dict):
        message = f"no JSON object: {of!r:.100}"
        raise ProtocolViolation(message)
    for name in fields.keys() | of.keys():
        if name not in fields or (name not in of and name not in OPTIONAL):
            message = f"{'unexpected' if name in of else 'missing'} field {name!r} in {of!r:.200}"
            raise ProtocolViolation(message)
        if name in of and not isinstance(of[name], fields[name]):
            message = f"field {name!r} is {of[name]!r:.100}"
            raise ProtocolViolation(message)
    return of


def read_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        message = f"no base64: {text!r:.50}"
        raise ProtocolViolation(message) from error


def named_repo(hub: "Hub", call: Call, groups: dict[str, str], *, write: bool = False) -> Repository:
    return hub.open(call, groups.get("kind", "models"), f"{groups['owner']}/{groups['name']}", write=write)


def whoami(hub: "Hub", call: Call, _: dict[str, str]) -> Reply:
    caller = hub.caller(call)
    if caller is None:
        raise Refused(401, "Invalid username or password.")
    token = {"displayName": "test", "role": caller.role, "createdAt": "2026-01-01T00:00:00.000Z"}
    who = {"type": "user", "id": "0" * 24, "name": caller.user, "fullname": caller.user.title(), "orgs": []}
    return answer({**who, "auth": {"type": "access_token", "accessToken": token}})


def list_agent_harnesses(_: "Hub", __: Call, ___: dict[str, str]) -> Reply:
    """Name no coding agent that the library's command line should look for in the environment."""
    return answer({"standardEnvVars": [], "harnesses": {}})


# --- repositories ---


def create_repo(hub: "Hub", call: Call, _: dict[str, str]) -> Reply:
    # `private` is how clients before huggingface_hub 1.0 say it.
    optional = {"type": str, "visibility": str, "private": bool, "sdk": str}
    given = read_json(call, {"name": str, "organization": (str, type(None)), **optional})
    caller = hub.caller(call)
    owner = given["organization"] or (caller.user if caller else "")
    hub.writer(call, owner)
    kind = KINDS.get(given.get("type", "model"))
    if kind is None or given.get("visibility", "public") not in {"public", "private"}:
        message = f"no repository is like this: {given}"
        raise ProtocolViolation(message)
    if (kind == "spaces") != ("sdk" in given):
        message = "a space, and nothing else, has an sdk"
        raise ProtocolViolation(message)
    if not REPO_NAME.fullmatch(given["name"]):
        raise Refused(400, f"Invalid repo name: {given['name']}")
    repo_id = f"{owner}/{given['name']}"
    with hub.lock:
        existing = hub.repositories.get((kind, repo_id))
        private = given.get("private", given.get("visibility") == "private")
        repo = existing or hub.create_repo(repo_id, kind=kind, private=private)
    url = f"{hub.endpoint}/{repo.web_path}"
    if existing:
        told = {"error": "You already created this repo", "url": url}
        return answer(told, status=409, headers={"X-Error-Message": told["error"]})
    return answer({"url": url, "name": repo_id, "id": "0" * 24})


def delete_repo(hub: "Hub", call: Call, _: dict[str, str]) -> Reply:
    given = read_json(call, {"name": str, "organization": (str, type(None)), "type": str})
    caller = hub.caller(call)
    owner = given["organization"] or (caller.user if caller else "")
    repo = hub.open(call, KINDS[given.get("type", "model")], f"{owner}/{given['name']}", write=True)
    with hub.lock:
        del hub.repositories[repo.kind, repo.id]
    return answer({})


def validate_yaml(_: "Hub", call: Call, __: dict[str, str]) -> Reply:
    given = read_json(call, {"content": str, "repoType": str})
    head, errors = card_head(given["content"]), []
    if head is None:
        errors.append({"message": "the card has no block of YAML between two lines of ---"})
    elif bad := [line for line in head if not re.fullmatch(r"\s*(- .+|-|[\w-]+:( .*)?|#.*|)", line)]:
        errors.append({"message": f"bad YAML: {bad[0]}"})
    return answer({"errors": errors, "warnings": []}, status=400 if errors else 200)


def card_head(content: str) -> list[str] | None:
    """Return the lines of a card's YAML block."""
    match = re.match(r"---\r?\n(.*?)\r?\n?---\s*(\n|$)", content, re.DOTALL)
    return match[1].splitlines() if match else None


# --- what is there ---


def info(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    repo = named_repo(hub, call, groups)
    commit = hub.revision(repo, groups.get("revision", DEFAULT_BRANCH))
    card = commit.files.get("README.md")
    head = card_head(card.content.decode()) if card and isinstance(card.content, bytes) else None
    told: dict[str, Any] = {
        "_id": "0" * 24,
        "id": repo.id,
        "modelId": repo.id,
        "author": repo.owner,
        "sha": commit.oid,
        "lastModified": f"{commit.date:%Y-%m-%dT%H:%M:%S.000Z}",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "private": repo.private,
        "gated": "manual" if repo.gated else False,
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": [],
        "siblings": [sibling(path, blob, call.flag("blobs")) for path, blob in sorted(commit.files.items())],
    }
    if head is not None:
        told["cardData"] = dict(line.split(": ", 1) for line in head if re.match(r"[\w-]+: ", line))
    wanted = call.query.get("expand", []) + call.query.get("expand[]", [])
    return answer(
        {name: value for name, value in told.items() if not wanted or name in {"_id", "id", *wanted}}
    )


def sibling(path: str, blob: Blob, detailed: bool) -> dict[str, Any]:  # noqa: FBT001 - a flag of the request
    if not detailed:
        return {"rfilename": path}
    told: dict[str, Any] = {"rfilename": path, "blobId": blob.oid, "size": blob.size}
    if blob.sha256:
        told["lfs"] = {"sha256": blob.sha256, "size": blob.size, "pointerSize": len(blob.pointer)}
    return told


def tree(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    repo = named_repo(hub, call, groups)
    commit = hub.revision(repo, groups["revision"])
    folder, expand = groups.get("path", ""), call.flag("expand")
    entries = tree_entries(commit.files, folder, recursive=call.flag("recursive"))
    if folder and not entries:
        raise Refused(404, f'{folder} does not exist on "{groups["revision"]}"', "EntryNotFound")
    limit = hub.rules.page_size_expanded if expand else hub.rules.page_size
    names = list(entries)
    cursor = call.query.get("cursor", [""])[0]
    start = json.loads(read_base64(cursor))["from"] if cursor else 0
    page = [entry(path, entries[path], commit if expand else None) for path in names[start : start + limit]]
    if start + limit >= len(names):
        return answer(page)
    following = base64.b64encode(json.dumps({"from": start + limit}).encode()).decode()
    query = urlencode({**{name: values[0] for name, values in call.query.items()}, "cursor": following})
    return answer(page, headers={"Link": f'<{hub.endpoint}{quote(call.path)}?{query}>; rel="next"'})


def paths_info(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    repo = named_repo(hub, call, groups)
    commit = hub.revision(repo, groups["revision"])
    form = call.form()
    entries = tree_entries(commit.files, "", recursive=True)
    expanded = commit if form.get("expand", ["false"])[-1].lower() == "true" else None
    return answer([entry(path, entries[path], expanded) for path in form.get("paths", []) if path in entries])


def entry(path: str, found: Blob | str, expanded: Commit | None) -> dict[str, Any]:
    if isinstance(found, str):
        told: dict[str, Any] = {"type": "directory", "oid": found, "size": 0, "path": path}
    else:
        told = {"type": "file", "oid": found.oid, "size": found.size, "path": path}
        if found.sha256:
            told["lfs"] = {"oid": found.sha256, "size": found.size, "pointerSize": len(found.pointer)}
        if found.xet_hash:
            told["xetHash"] = found.xet_hash
    if expanded:
        date = f"{expanded.date:%Y-%m-%dT%H:%M:%S.000Z}"
        told["lastCommit"] = {"id": expanded.oid, "title": expanded.title, "date": date}
    return told


# --- refs ---


def refs(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    repo = named_repo(hub, call, groups)

    def told(prefix: str, names: dict[str, str]) -> list[dict[str, str]]:
        return [
            {"name": name, "ref": f"{prefix}{name}", "targetCommit": oid}
            for name, oid in sorted(names.items())
        ]

    found = {
        "branches": told("refs/heads/", repo.branches),
        "tags": told("refs/tags/", repo.tags),
        "converts": [],
    }
    return answer(found | ({"pullRequests": told("", repo.pulls)} if call.flag("include_prs") else {}))


def create_branch(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    repo = named_repo(hub, call, groups, write=True)
    start = read_json(call, {"startingPoint": str}).get("startingPoint", DEFAULT_BRANCH)
    return add_ref(hub, repo, repo.branches, groups["revision"], hub.revision(repo, start))


def create_tag(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    repo = named_repo(hub, call, groups, write=True)
    name = read_json(call, {"tag": str, "message": str})["tag"]
    return add_ref(hub, repo, repo.tags, name, hub.revision(repo, groups["revision"]))


def add_ref(hub: "Hub", repo: Repository, names: dict[str, str], name: str, commit: Commit) -> Reply:
    if not REF_NAME.fullmatch(name):
        raise Refused(400, f"Invalid reference name: {name}")
    with hub.lock:
        if name in names:
            raise Refused(409, f"Reference already exists: {name}")
        names[name] = commit.oid
    return answer({"name": name, "repo": repo.id})


def delete_branch(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    repo = named_repo(hub, call, groups, write=True)
    if groups["revision"] == DEFAULT_BRANCH:
        raise Refused(403, "Cannot delete the default branch")
    return remove_ref(hub, repo.branches, groups["revision"])


def delete_tag(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    repo = named_repo(hub, call, groups, write=True)
    return remove_ref(hub, repo.tags, groups["revision"])


def remove_ref(hub: "Hub", names: dict[str, str], name: str) -> Reply:
    with hub.lock:
        if names.pop(name, None) is None:
            raise Refused(404, f"Invalid rev id: {name}", "RevisionNotFound")
    return answer({})
