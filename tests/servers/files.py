"""The half of the Hub that moves bytes: LFS and xet up, resolve and the storage origin down."""

import gzip
import hmac
import re
import secrets
import time
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from tests.servers.api import named_repo, read_json
from tests.servers.replies import Call, ProtocolViolation, Refused, Reply, answer, refusal, serve_file
from tests.servers.repositories import Blob
from tests.servers.xet import TOKEN_LIFETIME

if TYPE_CHECKING:
    from tests.servers.hub import Hub, Upload

LFS = "application/vnd.git-lfs+json"
SHA256 = re.compile(r"[0-9a-f]{64}")
PARTS = re.compile(r"\d{5}")


# --- up ---


def lfs_batch(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    from tests.servers.hub import Upload  # noqa: PLC0415 - the hub's routes lead here

    repo = named_repo(hub, call, groups, write=True)
    if call.header("accept") != LFS or call.header("content-type") != LFS:
        message = f"the media type of an LFS batch is {LFS}"
        raise ProtocolViolation(message)
    fields = {"operation": str, "transfers": list, "objects": list, "hash_algo": str, "ref": dict}
    given = read_json(call, fields)
    if (given["operation"], given["hash_algo"]) != ("upload", "sha256") or "basic" not in given["transfers"]:
        message = f"no LFS upload: {given!r:.200}"
        raise ProtocolViolation(message)
    told, multipart = [], False
    for wanted in given["objects"]:
        sha256, size = read_json(call, {"oid": str, "size": int}, wanted)["oid"], wanted["size"]
        if not SHA256.fullmatch(sha256) or size <= 0:
            message = f"no object for LFS: {wanted}"
            raise ProtocolViolation(message)
        if repo.objects.get(sha256) == size:
            told.append({"oid": sha256, "size": size})
            continue
        key = secrets.token_hex(16)
        hub.uploads[key] = Upload(repo, sha256, size)
        put = f"{hub.storage_url}/upload/{key}"
        upload: dict[str, object] = {"href": put}
        if size >= hub.rules.multipart_from and "multipart" in given["transfers"]:
            multipart, chunk = True, hub.rules.part_size
            parts = {f"{number + 1:05}": f"{put}/{number + 1}" for number in range(-(-size // chunk))}
            complete = f"{hub.endpoint}/api/complete-multipart/{key}"
            upload = {"href": complete, "header": {"chunk_size": str(chunk), **parts}}
        verify = {"href": f"{hub.endpoint}/{repo.web_path}.git/info/lfs/objects/verify"}
        actions = {"upload": upload} | ({"verify": verify} if hub.rules.asks_to_verify else {})
        told.append({"oid": sha256, "size": size, "authenticated": True, "actions": actions})
    found = {"transfer": "multipart" if multipart else "basic", "objects": told, "hash_algo": "sha256"}
    return answer(found, headers={"Content-Type": LFS})


def put_object(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    from tests.servers.hub import file_sha256  # noqa: PLC0415 - the hub's routes lead here

    upload = find_upload(hub, groups)
    assert call.upload is not None
    if (call.upload.stat().st_size, file_sha256(call.upload)) != (upload.size, upload.sha256):
        return refusal(400, "XAmzContentSHA256Mismatch")
    call.upload.replace(hub.objects / upload.sha256)
    upload.repo.objects[upload.sha256] = upload.size
    return Reply(headers={"ETag": f'"{upload.sha256[:32]}"'})


def put_part(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    upload, number = find_upload(hub, groups), int(groups["part"])
    assert call.upload is not None
    start = (number - 1) * hub.rules.part_size
    if call.upload.stat().st_size != min(hub.rules.part_size, upload.size - start):
        return refusal(400, "EntityTooSmall")
    target = hub.folder / f"{groups['upload']}-{number}"
    call.upload.replace(target)
    upload.parts[number] = target
    return Reply(headers={"ETag": part_etag(groups["upload"], number)})


def lfs_complete(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    from tests.servers.hub import file_sha256  # noqa: PLC0415 - the hub's routes lead here

    upload = find_upload(hub, groups)
    given = read_json(call, {"oid": str, "parts": list})
    numbers = range(1, -(-upload.size // hub.rules.part_size) + 1)
    expected = [{"partNumber": number, "etag": part_etag(groups["upload"], number)} for number in numbers]
    if given != {"oid": upload.sha256, "parts": expected}:
        message = f"these are not the parts of the upload: {given!r:.300}"
        raise ProtocolViolation(message)
    target = hub.folder / groups["upload"]
    with target.open("wb") as file:
        for number in numbers:
            file.write(upload.parts[number].read_bytes())
            upload.parts[number].unlink()
    if file_sha256(target) != upload.sha256:
        target.unlink()
        return refusal(400, "the parts are not the object")
    target.replace(hub.objects / upload.sha256)
    upload.repo.objects[upload.sha256] = upload.size
    return answer({})


def part_etag(upload: str, number: int) -> str:
    return f'"{upload[:8]}-{number}"'


def find_upload(hub: "Hub", groups: dict[str, str]) -> "Upload":
    upload = hub.uploads.get(groups["upload"])
    if upload is None:
        message = "nobody agreed to this upload"
        raise ProtocolViolation(message)
    return upload


def lfs_verify(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    repo = named_repo(hub, call, groups, write=True)
    given = read_json(call, {"oid": str, "size": int})
    if repo.objects.get(given["oid"]) != given["size"]:
        raise Refused(404, "the object is not here")
    return answer({})


def xet_token(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    writes = groups["role"] == "write"
    repo = named_repo(hub, call, groups, write=writes and not call.flag("create_pr"))
    if not writes:
        hub.pass_gate(call, repo)
    if hub.xet is None:
        message = "this hub has no xet"
        raise ProtocolViolation(message)
    if groups["revision"] != "None" or not call.flag("create_pr"):
        hub.revision(repo, groups["revision"])
    token, expires = f"xet-{groups['role']}", int(time.time()) + TOKEN_LIFETIME
    headers = {
        "X-Xet-Cas-Url": hub.xet.url,
        "X-Xet-Access-Token": token,
        "X-Xet-Token-Expiration": str(expires),
    }
    return answer({"casUrl": hub.xet.url, "accessToken": token, "exp": expires}, headers=headers)


# --- down ---


def resolve(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    repo = named_repo(hub, call, groups)
    hub.pass_gate(call, repo)
    commit = hub.revision(repo, groups["revision"])
    path = groups["path"]
    blob = commit.files.get(path)
    if blob is None:
        raise Refused(404, "Entry not found", "EntryNotFound")
    about = {"X-Repo-Commit": commit.oid, "Accept-Ranges": "bytes"}
    linked = {"X-Linked-Etag": f'"{blob.etag}"', "X-Linked-Size": str(blob.size)}
    if blob.sha256 is None:
        if hub.rules.redirects_regular_files:
            place = f"/api/resolve-cache/{repo.kind}/{repo.id}/{commit.oid}/{quote(path)}"
            return Reply(status=307, headers={**about, **linked, "Location": place})
        return regular_file(hub, call, blob, about)
    if blob.xet_hash:
        refresh = f"{hub.endpoint}/api/{repo.kind}/{repo.id}/xet-read-token/{commit.oid}"
        linked |= {"X-Xet-Hash": blob.xet_hash, "Link": f'<{refresh}>; rel="xet-auth"'}
    place = f"{hub.storage_url}/objects/{blob.sha256}/{quote(path)}?signature={sign(hub, blob.sha256)}"
    return Reply(status=302, headers={**about, **linked, "Location": place})


def cached(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    repo = named_repo(hub, call, groups)
    hub.pass_gate(call, repo)
    commit = hub.revision(repo, groups["revision"])
    return regular_file(hub, call, commit.files[groups["path"]], {"X-Repo-Commit": commit.oid})


def regular_file(hub: "Hub", call: Call, blob: Blob, headers: dict[str, str]) -> Reply:
    told = {**headers, "ETag": f'"{blob.etag}"', "Content-Type": "text/plain; charset=utf-8"}
    reply = serve_file(blob.content, told, call.header("range"))
    if hub.rules.compresses and reply.status == 200 and "gzip" in (call.header("accept-encoding") or ""):
        packed = gzip.compress(reply.data())
        return replace(reply.with_headers({"Content-Encoding": "gzip"}), body=packed, chunked=True)
    return reply


def sign(hub: "Hub", sha256: str) -> str:
    return hmac.digest(hub.secret.encode(), sha256.encode(), "sha256").hex()


def get_object(hub: "Hub", call: Call, groups: dict[str, str]) -> Reply:
    sha256 = groups["sha256"]
    if call.query.get("signature") != [sign(hub, sha256)]:
        return refusal(403, "the signature is not ours")
    headers = {"ETag": f'"{sha256}"', "Content-Type": "application/octet-stream"}
    return serve_file(hub.objects / sha256, headers, call.header("range"))


def foreign(_: "Hub", __: Call, ___: dict[str, str]) -> Reply:
    return Reply(headers={"ETag": '"foreign"'}, body=b"from a host that nobody named")
