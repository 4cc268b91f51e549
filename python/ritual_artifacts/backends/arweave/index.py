"""The gateways' indexes of transactions and data items. Their answers are not verified."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from ritual_artifacts.backends.arweave.asking import Later, Outcome, Refused, Took, Turns
from ritual_artifacts.backends.arweave.encoding import is_id
from ritual_artifacts.backends.arweave.gateway import Answer, Gateway, read_json
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.errors import BackendError, TransferError

log = logging.getLogger(__name__)

_PAGE_SIZE: Final = 100
_MAX_PAGES: Final = 1000
"""That is, 100,000 transactions; a gateway that sends pages without end is stopped there."""
_MAX_ID_FILTER: Final = 100

_QUERY: Final = """
query($owners: [String!], $tags: [TagFilter!], $ids: [ID!], $first: Int, $after: String) {
  transactions(owners: $owners, tags: $tags, ids: $ids, first: $first, after: $after, sort: HEIGHT_DESC) {
    pageInfo { hasNextPage }
    edges { cursor node { id bundledIn { id } block { height timestamp } } }
  }
}
"""


@dataclass(frozen=True)
class IndexEntry:
    """What an index says about a transaction or data item.

    Attributes:
        id: The transaction or data item.
        height: The block that it is in; None while it is not mined.
        timestamp: Seconds since 1970 at which that block was mined.
        bundle: The transaction whose data holds it, for a data item.
    """

    id: str
    height: int | None
    timestamp: int
    bundle: str | None

    @property
    def holder(self) -> str:
        """The transaction that has to be mined: the bundle of a data item, or the transaction itself."""
        return self.bundle or self.id


class Index:
    """Searches the indexes of all gateways."""

    def __init__(self, network: Network, *, max_pages: int = _MAX_PAGES) -> None:
        """Prepare; nothing is sent.

        Args:
            network: The gateways.
            max_pages: Pages of one search that are read from one gateway at most.
        """
        self._network = network
        self._max_pages = max_pages
        self._silent: set[Gateway] = set()  # those that did not answer in time

    def search(
        self,
        *,
        owner: str | None = None,
        tags: Mapping[str, Sequence[str]] | None = None,
        ids: Sequence[str] | None = None,
    ) -> Iterator[list[IndexEntry]]:
        """Yield what each gateway's index lists, one list for a gateway; empty lists are left out.

        A gateway that cannot answer now is asked again for a while after all others. One that never does is
        left out, with a warning, and not waited for a second time.

        Args:
            owner: Address of the owner.
            tags: Accepted values, by the tag's name.
            ids: Only these.

        Raises:
            TransferError: no gateway could answer.
        """
        variables = {
            "owners": None if owner is None else [owner],
            "tags": [{"name": name, "values": list(values)} for name, values in (tags or {}).items()] or None,
            "ids": None if ids is None else list(ids),
        }
        given = {name: value for name, value in variables.items() if value is not None}
        answered = False
        turns = Turns(
            self._network.gateways,
            "searching an index",
            self._network.context,
            is_optional=lambda gateway: answered and gateway in self._silent,
        )
        try:
            for gateway in turns:
                outcome = self._read_pages(gateway, given)
                if isinstance(outcome, Took):
                    answered = True
                    if outcome.value:
                        yield outcome.value
                else:
                    turns.note(gateway, outcome)
        except TransferError as error:
            if not answered:
                raise
            log.warning("%s; only the other indexes are used", error)
            self._silent |= set(turns.waiting)
        if not answered:
            reasons = "; ".join(f"{gateway}: {error}" for gateway, error in turns.refusals)
            message = f"no gateway could search its index: {reasons}; try again"
            raise TransferError(message, retryable=True)

    def find(self, ids: Iterable[str]) -> dict[str, IndexEntry]:
        """Return what the first index that lists it says about each of these transactions.

        Raises:
            TransferError: no gateway could answer.
        """
        wanted = list(dict.fromkeys(ids))
        found: dict[str, IndexEntry] = {}
        for start in range(0, len(wanted), _MAX_ID_FILTER):
            part = wanted[start : start + _MAX_ID_FILTER]
            for entries in self.search(ids=part):
                found = {entry.id: entry for entry in entries if entry.id in part} | found
                if all(name in found for name in part):
                    break
        return found

    def _read_pages(self, gateway: Gateway, variables: Mapping[str, Any]) -> Outcome[list[IndexEntry]]:
        """Return all that one gateway's index lists."""
        entries: list[IndexEntry] = []
        after: str | None = None
        for _ in range(self._max_pages):
            paged = {**variables, "first": _PAGE_SIZE} | ({} if after is None else {"after": after})
            posted = gateway.post("/graphql", json.dumps({"query": _QUERY, "variables": paged}).encode())
            if isinstance(posted, Later):
                return posted
            answer = posted.value
            if answer.is_temporary:
                return answer.later()
            try:
                page, after = _read_page(answer)
            except BackendError as error:  # such as that of a node without an index
                return Refused(error)
            entries += page
            if after is None:
                return Took(entries)
        return Refused(BackendError(f"the index sends more than {self._max_pages} pages"))


def _read_page(answer: Answer) -> tuple[list[IndexEntry], str | None]:
    """Return the entries of a page, and the cursor of the next one; None: this is the last one.

    Raises:
        BackendError: the answer is not a page.
    """
    if answer.status != HTTPStatus.OK:
        message = f"the answer is {answer}"
        raise BackendError(message)
    try:
        transactions = read_json(answer, "a query")["data"]["transactions"]
        edges = transactions["edges"]
        entries = [_read_node(edge["node"]) for edge in edges]
        has_more = bool(transactions.get("pageInfo", {}).get("hasNextPage")) and bool(edges)
        return entries, str(edges[-1]["cursor"]) if has_more else None
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        message = f"expected a page of transactions, got {answer.text}"
        raise BackendError(message) from None


def _read_node(node: Any) -> IndexEntry:  # noqa: ANN401 - unchecked JSON
    block = node.get("block") or None
    bundle = (node.get("bundledIn") or {}).get("id") or None
    if not is_id(node["id"]) or (bundle is not None and not is_id(bundle)):
        raise ValueError
    height = None if block is None else int(block["height"])
    timestamp = 0 if block is None else int(block.get("timestamp") or 0)
    return IndexEntry(node["id"], height, timestamp, bundle)
