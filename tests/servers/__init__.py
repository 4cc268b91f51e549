"""Real counterparts of the Hub for tests, on loopback only.

`hub.Hub` is a strict Hugging Face Hub in this process; fixtures (`tests.servers.fixtures`) start one:

    def test_an_upload_is_one_commit(hub: Hub) -> None:      # xet_hub: with xet; any_hub: one after the other
        api = HfApi(endpoint=hub.endpoint, token=hub.token)  # the user is alice
        ...
        assert hub.ledger.count("commit") == 1
        assert hub.ledger.received("lfs-put") == size

- Tokens: `hub.token` (alice writes), `hub.read_token` (alice reads), `hub.other_token` (bob writes); more
  go into `hub.tokens`, `hub.revoke(token)` ends one. `hub.environment()` is what a subprocess needs.
- Content: `repo = hub.create_repo("alice/model", kind="datasets", private=True, gated=True)`; it has one
  commit with `.gitattributes`, as on the live Hub. `hub.put(repo, {path: bytes})` commits without a client,
  under hostile names too. `hub.read(repo, path)`, `repo.head`, `.branches`, `.tags`, `.pulls`,
  `.history(commit)` tell the rest; `git.export(repo, folder)` writes it all as a bare git repository, for
  `git fsck` and `git lfs fsck`.
- Rules: `hub.rules` says which files are large, when LFS goes in parts, how long pages are, and so on.
- Ledger: `hub.ledger.of`, `.count`, `.received`, `.sent` of some kinds, which are those of `routes.TABLE`
  (`bytes` is the storage origin). xet moves its bytes by a folder, uncounted.
- Strict: an unknown path, a missing or an extra field or header, bad JSON, a token at another origin, a
  file in xet under a wrong SHA-256: each is noted in `hub.ledger.violations` and fails the test at its end.
- Faults (`tests.servers.faults`): `hub.faults.add("*weights.bin", flip_bit(), times=1)`. The pattern is for
  the decoded path, `/alice/model/resolve/<revision>/weights.bin` on the hub and
  `/objects/<sha256>/weights.bin` on the storage; `kind=`, `method=`, `skip=` and `times=` narrow it. A
  fault that no request met fails the test. In the xet store: `hub.xet.flip_bit(sha256)`.
- `no_waiting` makes the library's retries immediate and lists the seconds that it would have waited.

The fixture `hfd` runs a hub by other people with git behind it, `git_lfs` finds or builds git-lfs,
`node_client` is the JavaScript client. They are fetched once, below `build/`. Where one cannot be had, its
tests are skipped with the reason; where the environment variable `CI` is set, they fail.
"""
