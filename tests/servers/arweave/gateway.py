"""What gateways answer: data by id, path manifests, GraphQL."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tests.servers.arweave import chain
from tests.servers.arweave.checks import declined
from tests.servers.arweave.graphql import execute
from tests.servers.arweave.weave import Content, digest_of
from tests.servers.replies import Call, ProtocolViolation, Reply, answer, serve_file

if TYPE_CHECKING:
    from tests.servers.arweave.node import ArweaveNode

MANIFEST_TYPE = "application/x.arweave-manifest+json"
MANIFEST_LIMIT = 16 << 20


def raw(node: "ArweaveNode", call: Call, groups: dict[str, str]) -> Reply:
    """`/raw/{id}`: as stored."""
    return _serve(node, call, _find(node, groups["id"]))


def data(node: "ArweaveNode", call: Call, groups: dict[str, str]) -> Reply:
    """`/{id}` and `/{id}/{path}`: a path manifest leads to what it names."""
    content = _find(node, groups["id"])
    if content.tag("Content-Type") == MANIFEST_TYPE:
        content = _find(node, _resolve(content, unquote(groups.get("path") or "")))
    elif groups.get("path"):
        raise declined(404, chain.NOT_FOUND)
    return _serve(node, call, content)


def _find(node: "ArweaveNode", content_id: str) -> Content:
    content = node.weave.content(content_id)
    if content is None or (content.root.block is None and not node.rules.optimistic):
        raise declined(404, chain.NOT_FOUND)
    return content


def _resolve(manifest: Content, path: str) -> str:
    if manifest.body.stop - manifest.body.start > MANIFEST_LIMIT:
        raise declined(404, chain.NOT_FOUND)
    try:
        fields: dict[str, Any] = json.loads(Reply(body=manifest.body).data())
        paths, index = fields["paths"], fields.get("index", {})
        entry = paths.get(path or index.get("path")) or (index if not path else {})
        found = entry.get("id") or fields.get("fallback", {}).get("id")
    except (ValueError, KeyError, TypeError, AttributeError):
        found = None
    if not isinstance(found, str):
        raise declined(404, chain.NOT_FOUND)
    return found


def _serve(node: "ArweaveNode", call: Call, content: Content) -> Reply:
    body = content.body
    size = body.stop - body.start
    if not size and not node.rules.serves_empty_data:
        raise declined(404, chain.NOT_FOUND)
    headers = {
        "Content-Type": content.tag("Content-Type") or "application/octet-stream",
        "X-AR-IO-Data-Id": content.id,
        "X-AR-IO-Root-Transaction-Id": content.root.transaction.id,
        "X-AR-IO-Stable": str(content.root.block is not None).lower(),
        "X-AR-IO-Trusted": "true",
        "X-AR-IO-Verified": "false",
        "X-Cache": "HIT" if content.data.complete else "MISS",
    }
    if content.data.complete and size <= node.rules.digest_limit:
        digest = node.digest(content.id, lambda: digest_of(body))
        headers |= {"X-AR-IO-Digest": digest, "ETag": f'"{digest}"'}
    reply = serve_file(body, headers, call.header("range"))
    if content.data.complete or call.method == "HEAD" or reply.status == 416:
        return reply
    start = body.start + reply.offset
    gap = content.data.gap(start, start + reply.length)
    if gap == start:
        raise declined(404, chain.NOT_FOUND)
    return reply if gap == start + reply.length else replace(reply, cut_after=gap - start)


def graphql(node: "ArweaveNode", call: Call, _: dict[str, str]) -> Reply:
    try:
        request = json.loads(call.body)
        query, variables = request["query"], request.get("variables")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"no request for GraphQL: {error!r}"
        raise ProtocolViolation(message) from error
    result = execute(node.weave, query, variables, request.get("operationName"))
    return answer(result, status=200 if result.get("data") else 400)
