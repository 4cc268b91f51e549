"""GraphQL as gateways speak it, executed by `graphql-core` over a weave."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError, build_schema, graphql_sync

from tests.servers.arweave.bundles import DataItem
from tests.servers.arweave.encoding import b64
from tests.servers.arweave.transactions import Tags, text
from tests.servers.arweave.weave import Block, Entry, Weave

PAGE_SIZE = 10
SCHEMA = build_schema(
    """
    type Query {
        transaction(id: ID!): Transaction
        transactions(
            ids: [ID!], owners: [String!], recipients: [String!], tags: [TagFilter!], bundledIn: [ID!]
            block: BlockFilter, first: Int = 10, after: String, sort: SortOrder = HEIGHT_DESC
        ): TransactionConnection!
        block(id: String): Block
    }
    enum SortOrder { HEIGHT_ASC HEIGHT_DESC }
    enum TagOperator { EQ NEQ }
    input TagFilter { name: String!, values: [String!]!, op: TagOperator = EQ }
    input BlockFilter { min: Int, max: Int }
    type TransactionConnection { pageInfo: PageInfo!, edges: [TransactionEdge!]! }
    type PageInfo { hasNextPage: Boolean! }
    type TransactionEdge { cursor: String!, node: Transaction! }
    type Transaction {
        id: ID!, anchor: String!, signature: String!, recipient: String!, owner: Owner!, fee: Amount!
        quantity: Amount!, data: MetaData!, tags: [Tag!]!, block: Block, parent: Parent, bundledIn: Bundle
    }
    type Owner { address: String!, key: String! }
    type Amount { winston: String!, ar: String! }
    type MetaData { size: String!, type: String }
    type Tag { name: String!, value: String! }
    type Block { id: ID!, timestamp: Int!, height: Int!, previous: ID! }
    type Parent { id: ID! }
    type Bundle { id: ID! }
    """
)


@dataclass(frozen=True)
class Row:
    """What a gateway's index holds of a transaction or a data item."""

    source: Entry | DataItem
    block: Block | None
    place: tuple[int, int]
    """Its place in the chain: the transaction's, and that inside its bundle."""

    @property
    def id(self) -> str:
        return self.source.id if isinstance(self.source, DataItem) else self.source.transaction.id

    @property
    def tags(self) -> Tags:
        return self.source.tags if isinstance(self.source, DataItem) else self.source.transaction.tags

    @property
    def order(self) -> tuple[float, tuple[int, int]]:
        """What waits for a block is above all blocks."""
        return (float("inf") if self.block is None else self.block.height, self.place)

    def node(self) -> dict[str, Any]:
        source = self.source
        if isinstance(source, DataItem):
            owner, target, anchor, signature = source.owner, source.target, source.anchor, source.signature
            address, fee, quantity, bundle = source.address, 0, 0, source.bundle
            size = source.body.stop - source.body.start
        else:
            tx = source.transaction
            owner, target, anchor, signature = tx.owner, tx.target, tx.last_tx, tx.signature
            address, fee, quantity, bundle = tx.address, tx.reward, tx.quantity, None
            size = tx.data_size
        tags = [{"name": text(name), "value": text(value)} for name, value in self.tags]
        kind = next((tag["value"] for tag in tags if tag["name"] == "Content-Type"), None)
        return {
            "id": self.id,
            "anchor": b64(anchor),
            "signature": b64(signature),
            "recipient": b64(target),
            "owner": {"address": address, "key": b64(owner)},
            "fee": _amount(fee),
            "quantity": _amount(quantity),
            "data": {"size": str(size), "type": kind},
            "tags": tags,
            "block": self.block and _block(self.block),
            "parent": bundle and {"id": bundle},
            "bundledIn": bundle and {"id": bundle},
        }


def execute(weave: Weave, query: str, variables: Mapping[str, Any] | None, operation: str | None) -> Any:
    """Return the answer to a query, with `errors` where it has any."""
    result = graphql_sync(
        SCHEMA,
        query,
        _Root(weave),
        variable_values=dict(variables or {}),
        operation_name=operation,
    )
    return {
        "data": result.data,
        **({"errors": [error.formatted for error in result.errors]} if result.errors else {}),
    }


class _Root:
    """The fields of `Query`."""

    def __init__(self, weave: Weave) -> None:
        self.weave = weave

    def transaction(self, _: Any, *, id: str) -> dict[str, Any] | None:  # noqa: A002 - the protocol's name
        return next((row.node() for row in self._rows() if row.id == id), None)

    def block(self, _: Any, *, id: str | None = None) -> dict[str, Any] | None:  # noqa: A002 - the protocol's name
        return next((_block(block) for block in self.weave.blocks if block.id == id), None)

    def transactions(
        self, _: Any, *, first: int, sort: str, after: str | None = None, **filters: Any
    ) -> dict[str, Any]:
        rows = [row for row in self._rows() if _passes(row, filters)]
        rows.sort(key=lambda row: row.order, reverse=sort == "HEIGHT_DESC")
        if after:
            last = _order_of(after)
            descending = sort == "HEIGHT_DESC"
            rows = [row for row in rows if (row.order < last if descending else row.order > last)]
        size = max(0, min(first, self.weave.rules.page_limit))
        return {
            "pageInfo": {"hasNextPage": len(rows) > size},
            "edges": [{"cursor": _cursor_of(row), "node": row.node()} for row in rows[:size]],
        }

    def _rows(self) -> list[Row]:
        with self.weave.lock:
            entries = [entry for entry in self.weave.entries.values() if not entry.rejected]
            places = {entry.transaction.id: entry.place for entry in entries}
            rows = [Row(entry, entry.block, (entry.place, 0)) for entry in entries]
            for number, item in enumerate(self.weave.items.values(), 1):
                root = self.weave.root_of(item)
                if root is not None:
                    rows.append(Row(item, root.block, (places[root.transaction.id], number)))
            return rows


def _passes(row: Row, filters: Mapping[str, Any]) -> bool:
    node = row.node()
    blocks = filters.get("block") or {}
    height = row.block and row.block.height
    wanted = {
        "ids": node["id"],
        "owners": node["owner"]["address"],
        "recipients": node["recipient"],
        "bundledIn": node["bundledIn"] and node["bundledIn"]["id"],
    }
    return (
        all(value in filters[name] for name, value in wanted.items() if filters.get(name) is not None)
        and all(_has_tag(node["tags"], tag) for tag in filters.get("tags") or ())
        and (blocks.get("min") is None or (height is not None and height >= blocks["min"]))
        and (blocks.get("max") is None or (height is not None and height <= blocks["max"]))
    )


def _has_tag(tags: list[dict[str, str]], wanted: Mapping[str, Any]) -> bool:
    found = any(tag["name"] == wanted["name"] and tag["value"] in wanted["values"] for tag in tags)
    return found is (wanted["op"] == "EQ")


def _cursor_of(row: Row) -> str:
    height, place = row.order
    told = [None if row.block is None else int(height), *place]
    return base64.urlsafe_b64encode(json.dumps(told).encode()).decode()


def _order_of(cursor: str) -> tuple[float, tuple[int, int]]:
    try:
        height, place, number = json.loads(base64.urlsafe_b64decode(cursor))
    except ValueError as error:
        message = f"not a cursor: {cursor}"
        raise GraphQLError(message) from error
    return (float("inf") if height is None else height, (place, number))


def _amount(winston: int) -> dict[str, str]:
    whole, rest = divmod(winston, 10**12)
    return {"winston": str(winston), "ar": f"{whole}.{rest:012}"}


def _block(block: Block) -> dict[str, Any]:
    return {
        "id": block.id,
        "timestamp": block.timestamp,
        "height": block.height,
        "previous": block.previous,
    }
