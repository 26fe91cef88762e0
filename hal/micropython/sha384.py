"""SHA-384 (FIPS 180-4 6.5), which MicroPython's hashlib lacks.

The constants are the fractional bits of roots of the first primes (FIPS 180-4 4.2.3 and 5.3.4);
they are computed rather than written down.
"""

from __future__ import annotations

_MASK = 0xFFFFFFFFFFFFFFFF


def sha384(data: bytes) -> bytes:
    """48 bytes."""
    state = _INITIAL[:]
    size = len(data)
    tail = bytes(data[size - size % 128 :]) + b"\x80"
    tail += bytes((112 - len(tail)) % 128) + (size * 8).to_bytes(16, "big")
    for start in range(0, size - size % 128, 128):
        state = _compressed(state, data, start)
    for start in range(0, len(tail), 128):
        state = _compressed(state, tail, start)
    return b"".join([word.to_bytes(8, "big") for word in state[:6]])


def _compressed(state: list[int], data: bytes, start: int) -> list[int]:
    w = [int.from_bytes(data[i : i + 8], "big") for i in range(start, start + 128, 8)]
    for t in range(16, 80):
        x, y = w[t - 15], w[t - 2]
        # a number set twice side by side: its rotations are slices of it
        xx, yy = x << 64 | x, y << 64 | y
        s0 = (xx >> 1 ^ xx >> 8 ^ x >> 7) & _MASK
        s1 = (yy >> 19 ^ yy >> 61 ^ y >> 6) & _MASK
        w.append(w[t - 16] + s0 + w[t - 7] + s1 & _MASK)
    a, b, c, d, e, f, g, h = state
    for t in range(80):
        ee = e << 64 | e
        aa = a << 64 | a
        t1 = h + ((ee >> 14 ^ ee >> 18 ^ ee >> 41) & _MASK) + (g ^ e & (f ^ g)) + _K[t] + w[t]
        t2 = ((aa >> 28 ^ aa >> 34 ^ aa >> 39) & _MASK) + (a & b ^ a & c ^ b & c)
        a, b, c, d, e, f, g, h = t1 + t2 & _MASK, a, b, c, d + t1 & _MASK, e, f, g
    found = (a, b, c, d, e, f, g, h)
    return [state[i] + found[i] & _MASK for i in range(8)]


def _root(number: int, power: int) -> int:
    """The integer part of the square or cube root."""
    low, high = 0, 1 << 80
    while low < high:
        middle = (low + high + 1) // 2
        product = middle * middle
        if power == 3:
            product *= middle
        if product <= number:
            low = middle
        else:
            high = middle - 1
    return low


def _primes(count: int) -> list[int]:
    found: list[int] = []
    number = 2
    while len(found) < count:
        if all(number % prime for prime in found):
            found.append(number)
        number += 1
    return found


_K = [_root(prime << 192, 3) & _MASK for prime in _primes(80)]
_INITIAL = [_root(prime << 128, 2) & _MASK for prime in _primes(16)[8:]]
