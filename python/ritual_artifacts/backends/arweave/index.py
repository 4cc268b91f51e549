"""The gateways' indexes of transactions and data items. Their answers are not verified."""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
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

_NO_SUCH_PATH: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
)
_UNKNOWN_REQUEST: Final = "request type not found"
"""What a node, which has no index, answers to a path that it does not know."""

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


@dataclass(frozen=True)
class Findings:
    """What all indexes list together.

    Attributes:
        entries: Each transaction or data item once.
        doubt: Why there may be more; None: every gateway gave a complete answer, or says that it has no
            index.
    """

    entries: list[IndexEntry]
    doubt: TransferError | None


@dataclass(frozen=True)
class _Listing:
    """What one index lists, and why that may not be all."""

    entries: list[IndexEntry]
    problem: str | None = None


@dataclass(frozen=True)
class _Page:
    """The valid entries of a page, the cursor of the next page, and what is wrong with this one."""

    entries: list[IndexEntry]
    after: str | None
    problem: str | None
    is_guess: bool
    """Whether the gateway does not say if there is a next page."""


class _NoIndexError(BackendError):
    """A node says that it has no index."""


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
        self._reported: set[Gateway] = set()

    def search(
        self,
        *,
        owner: str | None = None,
        tags: Mapping[str, Sequence[str]] | None = None,
        ids: Sequence[str] | None = None,
    ) -> Iterator[list[IndexEntry]]:
        """Yield what each gateway's index lists, one list for a gateway; empty lists are left out.

        A gateway that cannot answer now is asked again for a while after all others. One that never gives a
        valid answer is left out, with a warning, and not waited for a second time. So this is for downloads;
        `search_all` is for what money depends on.

        Args:
            owner: Address of the owner.
            tags: Accepted values, by the tag's name.
            ids: Only these.

        Raises:
            TransferError: no gateway could answer.
        """
        doubts: dict[Gateway, str] = {}
        variables = _make_variables(owner, tags, ids)
        yield from (entries for entries in self._search(variables, doubts, patient=False) if entries)
        for gateway in doubts.keys() - self._reported:
            log.warning("%s: %s; only the other indexes are used", gateway, doubts[gateway])
            self._reported.add(gateway)

    def search_all(self, *, owner: str, tags: Mapping[str, Sequence[str]]) -> Findings:
        """Return what the indexes list together, and whether that is all.

        Args:
            owner: Address of the owner.
            tags: Accepted values, by the tag's name.

        Raises:
            TransferError: no gateway could answer.
        """
        doubts: dict[Gateway, str] = {}
        found: dict[str, IndexEntry] = {}
        for entries in self._search(_make_variables(owner, tags, None), doubts, patient=True):
            for entry in entries:
                if entry.id not in found or found[entry.id].height is None:
                    found[entry.id] = entry
        doubt = None
        if doubts:
            reasons = "; ".join(f"{gateway}: {problem}" for gateway, problem in doubts.items())
            message = (
                f"an index cannot be searched ({reasons}), so it is not known what is stored already, and "
                f"nothing is paid; try again later, or use other gateways"
            )
            doubt = TransferError(message, retryable=True)
        return Findings(list(found.values()), doubt)

    def with_heights(self, entries: Iterable[IndexEntry]) -> list[IndexEntry]:
        """Return entries with the blocks that nodes state where an index, which may be behind, has none."""
        return [entry if entry.height is not None else self._look_up(entry) for entry in entries]

    def is_dropped(self, entry: IndexEntry) -> bool:
        """Return whether what an index lists as not mined is known to no gateway any more.

        Raises:
            BackendError: a gateway cannot say.
        """
        return entry.height is None and self._network.is_gone(entry.holder)

    def _look_up(self, entry: IndexEntry) -> IndexEntry:
        try:
            height = self._network.read_status(entry.holder).height
        except BackendError as error:
            log.info("the status of %s is not known: %s", entry.holder, error)
            return entry
        return replace(entry, height=height)

    def _search(
        self, variables: Mapping[str, Any], doubts: dict[Gateway, str], *, patient: bool
    ) -> Iterator[list[IndexEntry]]:
        """Yield what each gateway's index lists.

        Args:
            variables: Of the query.
            doubts: Filled with the gateways that may list more, and why.
            patient: Whether to wait for gateways that did not answer before.

        Raises:
            TransferError: no gateway could answer.
        """
        answered = False
        turns = Turns(
            self._network.gateways,
            "searching an index",
            self._network.context,
            is_optional=lambda gateway: answered and not patient and gateway in self._silent,
        )
        try:
            for gateway in turns:
                outcome = self._read_pages(gateway, variables)
                if not isinstance(outcome, Took):
                    turns.note(gateway, outcome)
                    continue
                answered = True
                if outcome.value.problem is not None:
                    doubts[gateway] = outcome.value.problem
                yield outcome.value.entries
        except TransferError as error:
            if not answered:
                raise
            self._silent |= set(turns.waiting)
            doubts.update(dict.fromkeys(turns.waiting, str(error)))
        if not answered:
            reasons = "; ".join(f"{gateway}: {error}" for gateway, error in turns.refusals)
            message = f"no gateway could search its index: {reasons}; try again"
            raise TransferError(message, retryable=True)
        for gateway, refusal in turns.refusals:
            if isinstance(refusal, _NoIndexError):
                log.info("%s: %s", gateway, refusal)
            else:
                doubts[gateway] = str(refusal)

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

    def _read_pages(self, gateway: Gateway, variables: Mapping[str, Any]) -> Outcome[_Listing]:
        """Return all that one gateway's index lists; a bad page or entry does not discard the others."""
        entries: list[IndexEntry] = []
        problem: str | None = None
        after: str | None = None
        for number in range(self._max_pages):
            paged = {**variables, "first": _PAGE_SIZE} | ({} if after is None else {"after": after})
            posted = gateway.post("/graphql", json.dumps({"query": _QUERY, "variables": paged}).encode())
            if isinstance(posted, Later):
                return posted
            answer = posted.value
            if answer.is_temporary:
                return answer.later()
            try:
                page = _read_page(answer)
            except BackendError as error:
                return Took(_Listing(entries, str(error))) if number else Refused(error)
            known = {entry.id for entry in entries} if page.is_guess else set()
            if known.issuperset(entry.id for entry in page.entries) and known and page.entries:
                return Took(_Listing(entries, "pages without end"))
            entries += page.entries
            problem, after = problem or page.problem, page.after
            if after is None:
                return Took(_Listing(entries, problem))
        return Refused(BackendError(f"the index sends more than {self._max_pages} pages"))


def _make_variables(
    owner: str | None, tags: Mapping[str, Sequence[str]] | None, ids: Sequence[str] | None
) -> dict[str, Any]:
    variables = {
        "owners": None if owner is None else [owner],
        "tags": [{"name": name, "values": list(values)} for name, values in (tags or {}).items()] or None,
        "ids": None if ids is None else list(ids),
    }
    return {name: value for name, value in variables.items() if value is not None}


def _read_page(answer: Answer) -> _Page:
    """Return what a page lists.

    Raises:
        BackendError: the answer is not a page.
    """
    if _says_no_index(answer):
        message = f"the node has no index: {answer}"
        raise _NoIndexError(message)
    if answer.status != HTTPStatus.OK:
        message = f"the answer is {answer}"
        raise BackendError(message)
    values = read_json(answer, "a query")
    try:
        transactions = values["data"]["transactions"]
        edges = transactions["edges"]
        page_info = transactions.get("pageInfo")
    except (KeyError, TypeError, AttributeError):
        edges = page_info = None
    if not isinstance(edges, list):
        message = f"expected a page of transactions, got {answer.text}"
        raise BackendError(message)
    entries = [entry for edge in edges if (entry := _read_edge(edge)) is not None]
    problems = [f"an answer with errors ({answer.text})"] if values.get("errors") else []
    if len(entries) < len(edges):
        problems.append(f"{len(edges) - len(entries)} of {len(edges)} entries of a page are invalid")
    has_more = page_info.get("hasNextPage") if isinstance(page_info, dict) else None
    is_guess = not isinstance(has_more, bool)
    if is_guess:  # the next page shows it, if it is empty
        has_more = bool(edges)
    after = _read_cursor(edges) if has_more else None
    if has_more and after is None:
        problems.append("an answer that does not say where the next page begins")
    return _Page(entries, after, "; ".join(problems) or None, is_guess)


def _says_no_index(answer: Answer) -> bool:
    """Return whether this is a node's well-formed answer to a path that it does not have."""
    if answer.is_html:
        return False
    is_unknown = answer.status == HTTPStatus.BAD_REQUEST and _UNKNOWN_REQUEST in answer.text.lower()
    return is_unknown or answer.status in _NO_SUCH_PATH


def _read_cursor(edges: Sequence[Any]) -> str | None:
    """Return the cursor of the last entry, if it has one."""
    last = edges[-1] if edges else None
    cursor = last.get("cursor") if isinstance(last, dict) else None
    return cursor if isinstance(cursor, str) else None


def _read_edge(edge: Any) -> IndexEntry | None:  # noqa: ANN401 - unchecked JSON
    """Return a valid entry; None: it is not valid."""
    try:
        node = edge["node"]
        block, bundle = node.get("block"), (node.get("bundledIn") or {}).get("id") or None
        if not is_id(node["id"]) or (bundle is not None and not is_id(bundle)):
            return None
        height = None if block is None else int(block["height"])
        timestamp = 0 if block is None else int(block.get("timestamp") or 0)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError):
        return None
    return IndexEntry(node["id"], height, timestamp, bundle)
