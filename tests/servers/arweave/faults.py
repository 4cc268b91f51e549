"""What goes wrong only with nodes and gateways; see `tests.servers.faults` for all that goes wrong anywhere.

`node.faults.add("/chunk", refuse_chunk("disk_full"), kind="post-chunk", times=2)`
"""

from collections.abc import Callable, Mapping
from typing import Any

from tests.servers.arweave.checks import plain
from tests.servers.arweave.checks import refuse_chunk as refusal_of_chunk
from tests.servers.arweave.encoding import b64
from tests.servers.arweave.transactions import Transaction
from tests.servers.faults import Fault, change_json
from tests.servers.replies import Call, Reply

Edge = dict[str, Any]


# --- answers that are no success ---


def refuse(status: int, words: str = "", *, applied: bool = False, retry_after: int | None = None) -> Fault:
    """Answer with a status and plain words, before the request takes effect or after it did."""
    reply = plain(words, status)
    if retry_after is not None:
        reply = reply.with_headers({"Retry-After": str(retry_after)})
    return Fault(change=lambda _, __: reply) if applied else Fault(instead=lambda _: reply)


def rate_limit(retry_after: int | None = 0) -> Fault:
    return refuse(429, "Too Many Requests", retry_after=retry_after)


def refuse_chunk(error: str, status: int = 400) -> Fault:
    """Refuse a chunk with one of the protocol's errors, `data_root_not_found` for example."""
    reply = refusal_of_chunk(error, status)
    return Fault(instead=lambda _: reply)


def not_joined() -> Fault:
    return refuse_chunk("not_joined", 503)


def accept_temporarily() -> Fault:
    """Take a chunk with 303: this node will not keep it."""

    def change(_: Call, reply: Reply) -> Reply | None:
        return plain("", 303) if reply.status == 200 else None

    return Fault(change=change)


def lose_after_accepting() -> Fault:
    """Answer 200 to a post that is thrown away."""
    return Fault(instead=lambda _: plain("OK"))


def redirect_to_sandbox(url: str) -> Fault:
    """Send a reader to the same path at another host, `node.sandbox_url`, as gateways do for `/{id}`."""

    def answer(call: Call) -> Reply | None:
        if call.origin == "sandbox":
            return None
        return Reply(status=302, headers={"Location": f"{url}{call.raw_path}"})

    return Fault(change=lambda call, _: answer(call))


# --- a gateway that lies ---


def lie_in_edges(change: Callable[[list[Edge]], list[Edge] | None]) -> Fault:
    """Let a function change the edges of every page of GraphQL, or return others."""

    def apply(answer: dict[str, Any]) -> None:
        connection = answer["data"]["transactions"]
        changed = change(connection["edges"])
        connection["edges"] = connection["edges"] if changed is None else changed

    return change_json(apply)


def lie_about_owner(address: str) -> Fault:
    """Tell another owner of everything that GraphQL finds."""

    def change(edges: list[Edge]) -> None:
        for edge in edges:
            if "owner" in edge["node"]:
                edge["node"]["owner"] = {**edge["node"]["owner"], "address": address}

    return lie_in_edges(change)


def lie_about_size(size: int) -> Fault:
    """Tell another size of everything that GraphQL finds."""

    def change(edges: list[Edge]) -> None:
        for edge in edges:
            if "data" in edge["node"]:
                edge["node"]["data"] = {**edge["node"]["data"], "size": str(size)}

    return lie_in_edges(change)


def lie_about_tags(tags: Mapping[str, str | None]) -> Fault:
    """Replace, add or (`None`) remove tags of everything that GraphQL finds."""

    def change(edges: list[Edge]) -> None:
        for edge in edges:
            kept = [tag for tag in edge["node"].get("tags", []) if tag["name"] not in tags]
            added = [{"name": name, "value": value} for name, value in tags.items() if value is not None]
            edge["node"]["tags"] = kept + added

    return lie_in_edges(change)


def reverse_edges() -> Fault:
    """Tell the edges of a page in the wrong order."""
    return lie_in_edges(lambda edges: edges[::-1])


def hide_edges() -> Fault:
    """Find nothing."""
    return lie_in_edges(lambda _: [])


def swap_transaction(other: Transaction) -> Fault:
    """Answer `/tx/{id}` with another transaction."""
    return change_json(lambda _: other.to_json())


def lie_in_transaction(**fields: object) -> Fault:
    """Answer `/tx/{id}` with other fields: `owner=`, `data_root=`, `tags=` …; bytes are encoded."""
    told = {name: b64(value) if isinstance(value, bytes) else value for name, value in fields.items()}

    def change(transaction: dict[str, Any]) -> None:
        transaction.update(told)

    return change_json(change)
