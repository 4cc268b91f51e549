import pytest
from hypothesis import given
from hypothesis import strategies as st

from ritual_artifacts.backends.arweave.encoding import decode, encode, format_ar, is_id, parse_ar
from ritual_artifacts.errors import BackendError


@given(st.binary(max_size=200))
def test_bytes_survive_a_round_trip(data: bytes) -> None:
    assert decode(encode(data), "it") == data


@given(st.text(alphabet="AQZaz09-_=+/ \n", max_size=12))
def test_one_value_has_one_spelling(text: str) -> None:
    try:
        data = decode(text, "it")
    except BackendError:
        return
    assert encode(data) == text


@pytest.mark.parametrize("value", [None, 1, b"QQ", [], "Q", "QQ==", "Q+", "Q/", "é", "QQ\n"])
def test_other_text_than_base64url_is_refused(value: object) -> None:
    with pytest.raises(BackendError, match=r"it: expected base64url without padding, got"):
        decode(value, "it")


@given(st.integers(0, 10**30))
def test_amounts_survive_a_round_trip(winston: int) -> None:
    assert parse_ar(format_ar(winston).removesuffix(" AR")) == winston


def test_an_amount_is_written_exactly() -> None:
    assert format_ar(1_234_567_890_123) == "1.234567890123 AR"
    assert format_ar(0) == "0 AR"
    assert format_ar(10**15) == "1000 AR"


@pytest.mark.parametrize("text", ["", "a", "-1", "nan", "inf", "0.0000000000001", "1 AR"])
def test_other_text_than_an_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an amount in AR"):
        parse_ar(text)


def test_an_id_has_43_characters_of_base64url() -> None:
    assert is_id("A" * 42 + "_")
    for text in ("", "A" * 42, "A" * 44, "A" * 42 + "+", "A" * 42 + "\n", "é" * 43):
        assert not is_id(text)
