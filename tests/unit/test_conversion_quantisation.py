from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from builders.conversion.quantisation import F16, F32, Q8_0, Encoding, Numbers
from builders.errors import ModelError

BLOCK = np.dtype([("scale", "<f2"), ("numbers", "i1", 32)])


def block(*values: float) -> Numbers:
    """Return 32 numbers: the values, and zeros."""
    numbers = np.zeros(32, dtype=np.float32)
    numbers[: len(values)] = values
    return numbers


def quantised(values: Numbers) -> tuple[float, list[int]]:
    (stored,) = np.frombuffer(Q8_0.encode(values), BLOCK)
    return float(stored["scale"]), stored["numbers"].tolist()


def test_float32_is_left_as_it_is() -> None:
    values = np.array([[1.5, -0.1]], dtype=np.float32)

    assert bytes(F32.encode(values)) == values.tobytes()


@pytest.mark.parametrize(
    ("value", "bits"),
    [
        (1.0, 0x3C00),
        (-2.0, 0xC000),
        (1 + 2**-11, 0x3C00),  # half-way: to the even one, below
        (1 + 3 * 2**-11, 0x3C02),  # half-way: to the even one, above
        (1 + 2**-11 + 2**-20, 0x3C01),
        (2**-24, 0x0001),  # the smallest of all
        (2**-25, 0x0000),
        (3 * 2**-25, 0x0002),
        (65504.0, 0x7BFF),  # the greatest
        (-0.0, 0x8000),
    ],
)
def test_float16_is_the_nearest_and_of_two_the_even_one(value: float, bits: int) -> None:
    encoded = F16.encode(np.array([value], dtype=np.float32))

    assert int.from_bytes(encoded, "little") == bits


def test_a_block_has_the_scale_of_its_greatest_number() -> None:
    assert quantised(block(127, -127, 1, 0, -64)) == (1.0, [127, -127, 1, 0, -64] + [0] * 27)


def test_halves_are_rounded_away_from_zero() -> None:
    _, numbers = quantised(block(127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5))

    assert numbers[1:7] == [1, 2, 3, -1, -2, -3]


def test_a_number_just_below_a_half_is_rounded_down() -> None:
    """Adding a half and cutting would give 1: the sum is rounded up to it."""
    below = np.nextafter(np.float32(0.5), np.float32(0))

    assert quantised(block(127, float(below), -float(below)))[1][1:3] == [0, 0]


def test_integers_are_of_the_scale_before_it_was_rounded() -> None:
    greatest = 127 * (1 + 2**-11)  # a scale half-way between two of float16
    scale, numbers = quantised(block(greatest, 100.5 * (1 + 2**-11)))

    assert scale == 1.0
    assert numbers[:2] == [127, 101]


def test_a_block_of_zeros() -> None:
    assert quantised(block()) == (0.0, [0] * 32)


def test_q8_0_is_exact_float32_arithmetic() -> None:
    """Against the rule in fractions, each operation rounded to float32 once."""
    values = np.random.default_rng(0).uniform(-1, 1, (64, 32)).astype(np.float32)
    for row in values:
        scale = nearest(Fraction(float(np.abs(row).max())) / 127)
        inverse = nearest(1 / Fraction(float(scale)))
        expected = []
        for value in row.tolist():
            product = Fraction(float(nearest(Fraction(value) * Fraction(float(inverse)))))
            whole = int(abs(product) + Fraction(1, 2))
            expected.append(whole if product >= 0 else -whole)

        assert quantised(row) == (float(np.float16(scale)), expected)


def nearest(value: Fraction) -> np.float32:
    """Return the float32 that is nearest to a positive fraction."""
    guess = np.float32(float(value))
    candidates = (
        np.nextafter(guess, np.float32(0)),
        guess,
        np.nextafter(guess, np.float32(np.inf)),
    )
    return min(candidates, key=lambda each: abs(Fraction(float(each)) - value))


@pytest.mark.parametrize(
    ("encoding", "shape", "size"),
    [(F32, (2, 32), 256), (F16, (2, 32), 128), (Q8_0, (2, 32), 68), (F32, (3,), 12)],
)
def test_the_size_is_that_of_the_bytes(
    encoding: Encoding, shape: tuple[int, ...], size: int
) -> None:
    encoded = encoding.encode(np.zeros(shape, dtype=np.float32))

    assert encoding.size(shape) == size == len(bytes(encoded))


def test_rows_that_are_no_whole_blocks_are_refused() -> None:
    with pytest.raises(ModelError, match=r"(?s)Q8_0 stores 32 numbers.*a row has 48.*float16"):
        Q8_0.size((2, 48))
