"""Posting one transaction or one chunk, and what nodes answer to that. Nothing here is retried by itself."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Final

from ritual_artifacts.backends.arweave.asking import Later, Outcome, Refused, Took
from ritual_artifacts.backends.arweave.gateway import Answer, Gateway
from ritual_artifacts.backends.arweave.network import Network
from ritual_artifacts.backends.arweave.transaction import Transaction
from ritual_artifacts.errors import BackendError, InsufficientFundsError, TransferError

_OVERSPENT: Final = ("overspen", "balance", "insufficient", "enough", "funds")
"""In the answer of a node, or among its codes, where the wallet cannot pay."""
_KNOWN: Final = "transaction is already"
"""In the answer of a node that has a transaction. Other refusals say "already", too."""
_ENOUGH_TEMPORARY: Final = 2
_MAX_FULL: Final = 240
"""An hour of looks: a node keeps 10 GB of a transaction that is not mined, and takes the rest afterwards."""


class StaleAnchorError(BackendError):
    """A transaction's anchor is too old, so no node will ever take it; it can be signed again."""


@dataclass(frozen=True)
class Posted:
    """What a node took.

    Attributes:
        is_new: Whether the node did not have the transaction before, so that it cannot have its chunks.
        gateway: The gateway's address.
    """

    is_new: bool
    gateway: str


class _ChunkAnswer(Enum):
    """What a node says about a chunk that it does not refuse for good."""

    STORED = auto()
    STORED_FOR_A_WHILE = auto()
    """The node will not keep it."""
    UNKNOWN_ROOT = auto()
    """The node does not know the transaction."""
    FULL = auto()
    """The node keeps no more of this transaction before it is mined."""
    TEMPORARY = auto()


def post_transaction(network: Network, transaction: Transaction, doing: str) -> Posted:
    """Post a transaction until a node has it, also where one had it before.

    Args:
        network: The gateways.
        transaction: The transaction, with its data where that is small.
        doing: What this is for, in messages.

    Raises:
        StaleAnchorError: every node answered, and its anchor is too old.
        InsufficientFundsError: the wallet cannot pay.
        TransferError: no node could be reached.
        BackendError: no node takes it.
    """
    return network.post(doing, lambda gateway: _post_transaction_to(gateway, transaction), _choose_refusal)


def post_chunk(network: Network, transaction: Transaction, body: bytes, doing: str) -> Posted:
    """Post a chunk until a node stored it for good, or two nodes for a while.

    A node that does not know the transaction gets the transaction first. A node that keeps no more of it
    before it is mined is waited for.

    Args:
        network: The gateways.
        transaction: The transaction that the chunk belongs to.
        body: The chunk and its proof, as JSON.
        doing: What this is for, in messages.

    Raises:
        StaleAnchorError: all nodes have forgotten the transaction, and will not take it again.
        TransferError: the nodes could not be reached, or have no room.
        BackendError: no node will ever take it.
    """
    temporary: set[Gateway] = set()
    full: Counter[Gateway] = Counter()

    def attempt(gateway: Gateway) -> Outcome[Posted]:
        posted = _post_chunk_to(gateway, transaction, body)
        if not isinstance(posted, Took):
            return posted
        said, answer, was_unknown = posted.value
        if said is _ChunkAnswer.STORED:
            return Took(Posted(was_unknown, gateway.url))
        if said is _ChunkAnswer.STORED_FOR_A_WHILE:
            temporary.add(gateway)
            if len(temporary) >= _ENOUGH_TEMPORARY:
                return Took(Posted(was_unknown, gateway.url))
            problem = f"the answer is {answer}: it keeps the chunk only for a while; name more gateways"
            return Later(problem, answer.retry_after)
        if said is _ChunkAnswer.FULL:
            full[gateway] += 1
            poll = network.timing.poll_seconds if full[gateway] <= _MAX_FULL else None
            return Later(f"the answer is {answer}", answer.retry_after, poll)
        return answer.later()

    return network.post(doing, attempt, _choose_giving_up)


def _post_transaction_to(gateway: Gateway, transaction: Transaction) -> Outcome[Posted]:
    """Post a transaction to one node."""
    posted = gateway.post("/tx", json.dumps(transaction.to_json()).encode())
    if isinstance(posted, Later):
        return posted
    answer = posted.value
    text = answer.text.lower()
    if answer.status == HTTPStatus.OK and not answer.is_html:
        return Took(Posted(is_new=True, gateway=gateway.url))
    is_known = answer.status == HTTPStatus.BAD_REQUEST and _KNOWN in text
    if is_known or answer.status == HTTPStatus.ALREADY_REPORTED:
        return Took(Posted(is_new=False, gateway=gateway.url))
    if answer.is_temporary:
        return answer.later()
    reasons = _ask_reasons(gateway, transaction.id) if answer.status == HTTPStatus.BAD_REQUEST else ""
    return Refused(_explain_refusal(answer, text, reasons), may_change=True)


def _ask_reasons(gateway: Gateway, transaction_id: str) -> str:
    """Return the codes with which a node says why it rejected a transaction, as text; empty: it does not."""
    found = gateway.get(f"/tx/{transaction_id}")
    if isinstance(found, Took) and found.value.status == HTTPStatus.GONE and not found.value.is_html:
        return found.value.text.lower()
    return ""


def _explain_refusal(answer: Answer, text: str, reasons: str) -> BackendError:
    said = f"{answer}: {reasons}" if reasons else str(answer)
    text += f" {reasons}"
    if answer.status == HTTPStatus.PAYMENT_REQUIRED or any(words in text for words in _OVERSPENT):
        return InsufficientFundsError(f"the node says that the wallet cannot pay: {said}")
    if "anchor" in text or "last_tx_not_valid" in text:
        return StaleAnchorError(f"the answer is {said}")
    return BackendError(f"the node refuses the transaction: {said}")


def _post_chunk_to(
    gateway: Gateway, transaction: Transaction, body: bytes
) -> Outcome[tuple[_ChunkAnswer, Answer, bool]]:
    """Post a chunk to one node, which gets the transaction first where it does not know it.

    Returns:
        What the node says about the chunk, its answer, and whether it had not known the transaction.
    """
    was_unknown = False
    while True:
        posted = gateway.post("/chunk", body)
        if isinstance(posted, Later):
            return posted
        said = _judge_chunk(posted.value)
        if isinstance(said, Refused):
            return said
        if said is not _ChunkAnswer.UNKNOWN_ROOT or was_unknown:
            return Took((said, posted.value, was_unknown))
        told = _post_transaction_to(gateway, transaction)
        if not isinstance(told, Took):
            return told
        was_unknown = True


def _judge_chunk(answer: Answer) -> _ChunkAnswer | Refused:
    if answer.status == HTTPStatus.OK and not answer.is_html:
        return _ChunkAnswer.STORED
    if answer.status == HTTPStatus.SEE_OTHER:
        return _ChunkAnswer.STORED_FOR_A_WHILE
    error = _error_code(answer)
    if error == "data_root_not_found":
        return _ChunkAnswer.UNKNOWN_ROOT
    if error == "exceeds_disk_pool_size_limit":
        return _ChunkAnswer.FULL
    if answer.is_temporary or error == "disk_full":
        return _ChunkAnswer.TEMPORARY
    return Refused(BackendError(f"the node refuses the chunk: {answer}"), may_change=True)


def _error_code(answer: Answer) -> str | None:
    """Return the code of a refused chunk, which nodes send as JSON."""
    try:
        values = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    error = values.get("error") if isinstance(values, dict) else None
    return error if isinstance(error, str) else None


def _choose_refusal(refusals: Sequence[BackendError], gave_up: TransferError | None) -> BackendError:
    """Choose the error of a transaction: a refusal counts more than a node that could not be asked.

    A stale anchor counts only where all nodes answered: one that did not may have the transaction already,
    and then it must not be signed again.
    """
    others = [error for error in refusals if not isinstance(error, StaleAnchorError)]
    if gave_up is None:
        return _first_stale(refusals)
    return others[0] if others else gave_up


def _choose_giving_up(refusals: Sequence[BackendError], gave_up: TransferError | None) -> BackendError:
    """Choose the error of a chunk: a node that could not be asked may take what others refuse."""
    return gave_up or _first_stale(refusals)


def _first_stale(refusals: Sequence[BackendError]) -> BackendError:
    return next((error for error in refusals if isinstance(error, StaleAnchorError)), refusals[0])
