"""Arweave by the command line."""

import json
import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from ritual_artifacts.backends.arweave.encoding import format_ar
from tests.servers import faults
from tests.servers.arweave import faults as node_faults
from tests.servers.arweave.node import ArweaveNode
from tests.servers.arweave.signing import Key

PLENTY = 10**15


class Typed(BaseModel):
    weights: Path
    layers: int


Run = Callable[..., Any]


@pytest.fixture
def node(arweave_node: ArweaveNode, wallet: Key, monkeypatch: pytest.MonkeyPatch) -> ArweaveNode:
    arweave_node.mint(wallet.address, PLENTY)
    monkeypatch.setenv("RITUAL_ARWEAVE_GATEWAYS", arweave_node.url)
    monkeypatch.setenv("ARWEAVE_WALLET_FILE_PATH", str(wallet.path))
    return arweave_node


@pytest.fixture
def model(write: Callable[..., Path]) -> Path:
    write("model/config.json", content=b"{}")
    return write("model/weights.bin", 600_000).parent


def test_a_model_is_uploaded_and_downloaded(
    run: Run,
    node: ArweaveNode,
    wallet: Key,
    model: Path,
    tmp_path: Path,
    *,
    caplog: pytest.LogCaptureFixture,
) -> None:
    uploaded = run("upload", model, "arweave/me/model/v1", "--max-cost", "1", "--json")
    node.mine()
    repo = f"arweave/{wallet.address}/model/v1"
    downloaded = run("download", repo, tmp_path / "out")

    result = json.loads(uploaded.out)
    assert (uploaded.code, downloaded.code) == (0, 0)
    assert result["repo_id"] == repo
    assert int(result["cost"]) > 0
    assert (tmp_path / "out" / "weights.bin").read_bytes() == (model / "weights.bin").read_bytes()
    assert f"publishing to {wallet.address}, not to me" in caplog.text


def test_a_transaction_is_downloaded_by_its_id(
    run: Run, node: ArweaveNode, model: Path, tmp_path: Path
) -> None:
    uploaded = json.loads(run("upload", model, "arweave/me/model", "--bundle", "--json").out)
    node.mine()

    outcome = run("download", f"arweave/{uploaded['revision']}", tmp_path / "out")

    assert outcome.code == 0
    assert (tmp_path / "out" / "config.json").read_bytes() == b"{}"


def test_a_repository_is_verified_without_a_download(
    run: Run, node: ArweaveNode, wallet: Key, model: Path
) -> None:
    result = json.loads(run("upload", model, "arweave/me/model", "--json").out)
    node.mine()
    repo = f"arweave/{wallet.address}/model"
    node.ledger.forget()

    signed = run("verify", repo)
    asked = node.ledger.sent("raw")
    deep = run("verify", repo, "--deep")
    node.faults.add(f"/raw/{result['transactions']['weights.bin']}", faults.flip_bit(5))
    altered = run("verify", repo, "--deep")

    assert (signed.code, deep.code, altered.code) == (0, 0, 1)
    assert asked < 5000  # the manifests
    assert "MISMATCH 'weights.bin'" in altered.out


@pytest.mark.usefixtures("node")
def test_an_estimate_pays_nothing(run: Run, model: Path) -> None:
    text, printed = run("estimate", model), run("estimate", model, "--json")

    report = json.loads(printed.out)
    assert (text.code, printed.code) == (0, 0)
    assert text.out.strip() == f"{report['ar']} AR"
    assert (report["files"], report["bytes"]) == (2, 600_002)
    uploaded = json.loads(run("upload", model, "arweave/me/model", "--json").out)
    assert int(uploaded["cost"]) == int(report["winston"])


def test_too_high_a_price_is_refused(run: Run, node: ArweaveNode, model: Path) -> None:
    outcome = run("upload", model, "arweave/me/model", "--max-cost", "0.000001")

    assert outcome.code == 1
    assert "max_cost allows 0.000001 AR; nothing was posted" in outcome.err
    assert not node.transactions()


def test_the_cost_of_an_upload_is_shown(run: Run, node: ArweaveNode, wallet: Key, model: Path) -> None:
    outcome = run("upload", model, "arweave/me/model")

    spent = PLENTY - sum(transaction.reward for transaction in node.transactions())
    node.mine()
    assert node.weave.balance(wallet.address) == spent
    assert f"paid {format_ar(PLENTY - spent)}" in outcome.err


@pytest.mark.parametrize("command", ["upload", "copy"])
def test_the_price_and_the_balance_are_shown_before_anything_is_posted(
    command: str, run: Run, node: ArweaveNode, wallet: Key, model: Path
) -> None:
    node.faults.add("/tx", node_faults.refuse(400, "no"), kind="post-tx")
    source = model
    if command == "copy":
        run("upload", model, "local/me/model")
        source = Path("local/me/model")

    refused = run(command, source, "arweave/me/model")

    node.faults.clear()
    assert refused.code == 1
    assert f"; the wallet {wallet.address} has {format_ar(PLENTY)}" in refused.err
    paid = run(command, source, "arweave/me/model", "--json")
    assert f"the upload costs {format_ar(int(json.loads(paid.out)['cost']))}" in paid.err


def test_a_copy_takes_the_wallet_and_the_limit_of_the_storage(
    run: Run, node: ArweaveNode, other_wallet: Key, model: Path
) -> None:
    run("upload", model, "local/me/model")
    node.mint(other_wallet.address, PLENTY)
    options = ("--wallet", other_wallet.path, "--bundle", "--json")

    refused = run("copy", "local/me/model", "arweave/me/model", *options, "--max-cost", "0.000001")
    copied = run("copy", "local/me/model", "arweave/me/model", *options, "--max-cost", "1")

    assert (refused.code, copied.code) == (1, 0)
    assert "max_cost allows 0.000001 AR; nothing was posted" in refused.err
    assert json.loads(copied.out)["repo_id"] == f"arweave/{other_wallet.address}/model"


@pytest.mark.usefixtures("node")
def test_a_bundle_has_its_own_price(run: Run, write: Callable[..., Path]) -> None:
    for number in range(8):
        write(f"many/{number}.bin", 70_000 + number)
    folder = write("many/config.json", content=b"{}").parent

    loose, bundled = (
        json.loads(run("estimate", folder, "--json", *options).out) for options in ((), ("--bundle",))
    )

    assert int(bundled["winston"]) < int(loose["winston"])
    for report, options in ((bundled, ("--bundle",)), (loose, ())):
        name = f"arweave/me/{'bundle' if options else 'loose'}"
        if options:
            uploaded = json.loads(run("upload", folder, name, "--json", *options).out)
            assert int(uploaded["cost"]) == int(report["winston"])


@pytest.mark.usefixtures("node")
def test_a_typed_artifact_has_its_price(run: Run, model: Path) -> None:
    values = ("--type", "tests.cli.test_arweave:Typed", "--set", "weights=weights.bin", "--set", "layers=2")

    typed = json.loads(run("estimate", model, *values, "--json").out)

    assert (typed["files"], typed["bytes"]) == (1, 600_000)
    uploaded = json.loads(run("upload", model, "arweave/me/typed", *values, "--json").out)
    assert int(uploaded["cost"]) == int(typed["winston"])
    assert run("estimate", model, "--set", "layers=2").code == 2


def test_an_interrupted_upload_says_how_it_is_finished(run: Run, node: ArweaveNode, model: Path) -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    node.faults.add("/chunk", faults.run(interrupt), kind="post-chunk", times=1)

    stopped = run("upload", model, "arweave/me/model")

    assert stopped.code == 130
    assert "transactions are posted" in stopped.err
    assert "do not pay twice: run the same command again" in stopped.err
    assert run("upload", model, "arweave/me/model").code == 0


def test_an_invalid_amount_is_a_usage_error(run: Run, node: ArweaveNode, model: Path) -> None:
    for amount in ("much", "-1", "1e3"):
        assert run("upload", model, "arweave/me/model", "--max-cost", amount).code == 2
    assert not node.ledger.count()


@pytest.mark.usefixtures("node")
def test_the_address_of_the_wallet_is_shown(run: Run, wallet: Key) -> None:
    address, balance = run("wallet", "address"), run("wallet", "balance", "--json")

    assert address.out == f"{wallet.address}\n"
    assert json.loads(balance.out) == {"address": wallet.address, "winston": str(PLENTY), "ar": "1000"}


def test_a_wallet_is_named_by_an_option(run: Run, other_wallet: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARWEAVE_WALLET_FILE_PATH", raising=False)

    assert run("wallet", "address").code == 1
    assert run("wallet", "address", "--wallet", other_wallet.path).out == f"{other_wallet.address}\n"


def test_only_the_user_can_read_a_new_wallet(run: Run, tmp_path: Path) -> None:
    made = run("wallet", "new", tmp_path / "new.json")
    again = run("wallet", "new", tmp_path / "new.json")

    assert (made.code, again.code) == (0, 1)
    assert stat.S_IMODE((tmp_path / "new.json").stat().st_mode) == 0o600
    assert run("wallet", "address", "--wallet", tmp_path / "new.json").out == made.out
    key = json.loads((tmp_path / "new.json").read_text())
    assert key["d"] not in made.out + made.err + again.err


def test_the_status_is_pending_then_confirmed_or_dropped(
    run: Run, node: ArweaveNode, wallet: Key, model: Path
) -> None:
    revision = json.loads(run("upload", model, "arweave/me/model", "--json").out)["revision"]

    pending = run("status", revision)
    node.mine(2)
    confirmed = run("status", f"arweave/{wallet.address}/model", "--json")
    node.drop(revision)
    dropped = run("status", revision)

    assert (pending.code, pending.out) == (0, f"{revision} pending\n")
    assert json.loads(confirmed.out) == {
        "transaction": revision,
        "state": "confirmed",
        "confirmations": 2,
        "height": node.height - 1,
    }
    assert (dropped.code, dropped.out) == (1, f"{revision} dropped\n")


def test_a_network_failure_has_its_exit_code(run: Run, wallet: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RITUAL_ARWEAVE_GATEWAYS", "http://127.0.0.1:9")
    monkeypatch.setenv("ARWEAVE_WALLET_FILE_PATH", str(wallet.path))

    assert run("wallet", "balance").code == 3
    assert run("download", f"arweave/{wallet.address}/model").code == 3
