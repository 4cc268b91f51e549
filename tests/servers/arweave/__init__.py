"""A strict Arweave node and gateway on loopback, with an Arweave of its own: nothing here is the product's.

    def test_an_upload_is_paid_once(arweave_node: ArweaveNode, wallet: Key) -> None:
        arweave_node.mint(wallet.address, 10**12)  # winston
        ...                                        # the client talks to arweave_node.url
        arweave_node.mine()                        # from 202 Pending to a block
        assert arweave_node.ledger.count("post-tx") == 1
        assert max(arweave_node.posts_of(tx_id).values()) == 1  # no chunk twice

- Chain: `mint`, `mine(blocks, empty=False)`, `drop(tx_id)`, `lose_chunks(tx_id, starts)`, `forget_roots()`;
  `transaction`, `transactions`, `is_mined`, `is_complete`, `read`, `chunk_starts` look at it. `node.rules`
  (`weave.Rules`) says prices, limits, `auto_mine`, `optimistic` and so on.
- More gateways: `make_arweave(weave=node.weave)` shows the same chain, with its own ledger and faults.
- Foreign data (`publish`): `publish`, `publish_manifest`, `publish_bundle`, `publish_ritual_repo`,
  `publish_recorded_repo`; `sign_transaction` and `Transaction` make what a client would post, or a forgery
  (`node.put` looks at nothing).
- Ledger: `node.ledger.of(kind)`, `.count`, `.received`, `.sent`; kinds are those of `routes.TABLE`. Of
  chunks: `node.chunk_posts` and `node.posts_of(tx_id, status=200)`.
- Strict: an unknown path, a transaction or query that is no JSON, a malformed Range, a chunk's offset that is
  not its end minus 1, a token: each is in `node.ledger.violations` and fails the test at its end. What a
  node refuses in its own words (wrong signature, anchor, reward, proof …) is only refused.
- Faults: `tests.servers.faults` for bodies and connections, `tests.servers.arweave.faults` for the rest; a
  plain function is one too: `Fault(change=lambda call, reply: ...)`. A fault that no request met fails the
  test.

The fixture `arlocal` runs a gateway by other people, `arweave_js` is a client by other people. They are
fetched once, below `build/`; where one cannot be had, its tests are skipped with the reason, and fail in CI.
"""
