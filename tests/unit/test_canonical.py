"""Canonical JSON: the examples of RFC 8785, and what JSON cannot hold."""

import pytest

from ritual_artifacts.artifact.canonical import MAX_DEPTH, Json, canonical_bytes, is_too_deep


def test_the_example_of_section_3_2_2_comes_out_byte_for_byte() -> None:
    value: Json = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\u000aA'\u0042\u0022\u005c\\\"\u002f",
        "literals": [None, True, False],
    }

    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert canonical_bytes(value) == expected.encode()


def test_keys_are_sorted_by_utf_16_code_units() -> None:
    value: Json = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }

    text = canonical_bytes(value).decode()

    order = ["Carriage Return", "One", "Control", "Latin Small", "Euro Sign", "Emoji", "Hebrew"]
    positions = [text.index(word) for word in order]
    assert positions == sorted(positions)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.0, b"0"),
        (-0.0, b"0"),
        (5e-324, b"5e-324"),
        (1.7976931348623157e308, b"1.7976931348623157e+308"),
        (9007199254740991, b"9007199254740991"),
        (295147905179352830000.0, b"295147905179352830000"),
        (9.999999999999997e22, b"9.999999999999997e+22"),
        (1e23, b"1e+23"),
        (999999999999999700000.0, b"999999999999999700000"),
        (333333333.33333325, b"333333333.33333325"),
        (1e-7, b"1e-7"),
        (0.000001, b"0.000001"),
    ],
)
def test_numbers_are_written_as_in_appendix_b(number: float, expected: bytes) -> None:
    assert canonical_bytes(number) == expected


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), float("-inf"), 2**53, -(2**53), "\ud800", {"\udfff": 1}]
)
def test_what_json_cannot_hold_is_refused(value: Json) -> None:
    with pytest.raises(ValueError, match=r"."):
        canonical_bytes(value)


def test_a_large_integer_is_refused_with_a_way_out() -> None:
    with pytest.raises(ValueError, match="declare the field as str"):
        canonical_bytes({"seed": 2**60})


def _nested(depth: int) -> Json:
    value: Json = []
    for _ in range(depth - 1):
        value = {"a": value} if depth % 2 else [value]
    return value


@pytest.mark.parametrize("depth", [1, 2, MAX_DEPTH - 1, MAX_DEPTH])
def test_nesting_up_to_the_limit_is_fine(depth: int) -> None:
    assert not is_too_deep(_nested(depth))


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, MAX_DEPTH + 2, 5000])
def test_nesting_beyond_the_limit_is_found(depth: int) -> None:
    assert is_too_deep(_nested(depth))
