"""Which path is which request to a node or gateway. Whatever is not here is a violation."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.servers.arweave import chain, gateway
from tests.servers.replies import Call, Reply

if TYPE_CHECKING:
    from tests.servers.arweave.node import ArweaveNode

Handler = Callable[["ArweaveNode", Call, dict[str, str]], Reply]

ID = r"(?P<id>[A-Za-z0-9_-]{43})"
ANY_ID = r"(?P<id>[^/]+)"
FIELDS = "id|last_tx|owner|tags|target|quantity|data_size|data_root|reward|signature"


@dataclass(frozen=True)
class Route:
    """A request of the protocol, with the groups of its path, which are still percent-encoded."""

    kind: str
    handler: Handler
    groups: dict[str, str]

    def handle(self, node: "ArweaveNode", call: Call) -> Reply:
        return self.handler(node, call, self.groups)


TABLE: tuple[tuple[str, str, str, Handler], ...] = (
    ("info", "GET", r"/(?:info)?", chain.info),
    ("anchor", "GET", r"/tx_anchor", chain.anchor),
    ("price", "GET", r"/price/(?P<size>[^/]+)(?:/(?P<target>[^/]*))?", chain.price),
    ("balance", "GET", r"/wallet/(?P<address>[^/]+)/balance", chain.balance),
    ("last-tx", "GET", r"/wallet/(?P<address>[^/]+)/last_tx", chain.last_tx),
    ("block", "GET", r"/block/(?:height|hash)/(?P<block>[^/]+)", chain.block),
    ("post-tx", "POST", r"/tx", chain.post_transaction),
    ("tx", "GET", rf"/tx/{ANY_ID}", chain.transaction),
    ("tx-status", "GET", rf"/tx/{ANY_ID}/status", chain.status),
    ("tx-offset", "GET", rf"/tx/{ANY_ID}/offset", chain.offset),
    ("tx-field", "GET", rf"/tx/{ANY_ID}/(?P<field>{FIELDS})", chain.field),
    ("tx-data", "GET", rf"/tx/{ANY_ID}/data", chain.encoded_data),
    ("tx-data-decoded", "GET", rf"/tx/{ANY_ID}/data\.[^/]*", chain.decoded_data),
    ("post-chunk", "POST", r"/chunk", chain.post_chunk),
    ("chunk", "GET", r"/chunk/(?P<offset>[^/]+)", chain.chunk),
    ("chunk-bytes", "GET", r"/chunk/(?P<offset>[^/]+)/data", chain.chunk_bytes),
    ("chunk-binary", "GET", r"/chunk2/(?P<offset>[^/]+)", chain.chunk_binary),
    ("graphql", "POST", r"/graphql", gateway.graphql),
    ("raw", "GET", rf"/raw/{ID}", gateway.raw),
    ("mine", "GET", r"/mine(?:/(?P<blocks>\d+))?", chain.mine),
    ("data", "GET", rf"/{ID}(?:\.\w+)?", gateway.data),
    ("data-path", "GET", rf"/{ID}/(?P<path>.*)", gateway.data),
)
_PATTERNS = [(kind, method, re.compile(pattern), handler) for kind, method, pattern, handler in TABLE]


def find_route(call: Call) -> Route | None:
    """Return which request a call is; HEAD is GET without the body."""
    method = "GET" if call.method == "HEAD" else call.method
    for kind, wanted, pattern, handler in _PATTERNS:
        match = pattern.fullmatch(call.raw_path) if wanted == method else None
        if match:
            return Route(kind, handler, match.groupdict())
    return None
