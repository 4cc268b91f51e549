"""What a loopback hub saw: every exchange, counted by kind, and every breach of the protocol."""

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request and its answer; sizes are bytes of bodies."""

    origin: str
    kind: str
    method: str
    path: str
    query: str
    status: int
    received: int
    sent: int
    user_agent: str
    authorized: bool
    range: str | None


@dataclass
class Ledger:
    """The exchanges of one hub, in the order in which they ended."""

    exchanges: list[Exchange] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def record(self, exchange: Exchange) -> None:
        with self._lock:
            self.exchanges.append(exchange)

    def violate(self, what: str) -> None:
        """Note a breach of the protocol: the test that used the hub fails at its end."""
        with self._lock:
            self.violations.append(what)

    def forget(self) -> None:
        """Start counting anew; violations stay."""
        with self._lock:
            self.exchanges.clear()

    def of(self, *kinds: str, method: str | None = None) -> list[Exchange]:
        """Return the exchanges of some kinds (none given: of all)."""
        with self._lock:
            return [
                exchange
                for exchange in self.exchanges
                if (not kinds or exchange.kind in kinds) and method in {None, exchange.method}
            ]

    def count(self, *kinds: str, method: str | None = None) -> int:
        return len(self.of(*kinds, method=method))

    def received(self, *kinds: str) -> int:
        """Return the bytes of request bodies, which is what clients uploaded."""
        return sum(exchange.received for exchange in self.of(*kinds))

    def sent(self, *kinds: str) -> int:
        """Return the bytes of response bodies, which is what clients downloaded."""
        return sum(exchange.sent for exchange in self.of(*kinds))
