"""ECDSA verification on the curve P-256 (FIPS 186-5 6.4.2, SP 800-186 3.2.1.3) in plain integers.

Only public values pass through here, so nothing needs to take constant time.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    # (X, Y, Z) stands for x = X / Z**2, y = Y / Z**3; Z = 0 is the point at infinity.
    Point = tuple[int, int, int]

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
    1,
)


def is_on_curve(x: int, y: int) -> bool:
    return x < P and y < P and (y * y - (x * x - 3) * x - B) % P == 0


def verify(x: int, y: int, digest: int, r: int, s: int) -> bool:
    """True if (r, s) is a signature of `digest` (32 bytes as an integer) by the public key (x, y),
    which must be on the curve."""
    if not (0 < r < N and 0 < s < N):
        return False
    inverse = pow(s, N - 2, N)  # pow(s, -1, N) returns 0 on MicroPython
    total = _sum_of_multiples(digest * inverse % N, G, r * inverse % N, (x, y, 1))
    z = total[2]
    if z == 0:
        return False
    # x mod N == r, without dividing: x is r, or r + N where that is below P.
    zz = z * z % P
    return (total[0] - r * zz) % P == 0 or (r + N < P and (total[0] - (r + N) * zz) % P == 0)


def _sum_of_multiples(a: int, u: Point, b: int, v: Point) -> Point:
    """a * u + b * v, both in one pass over the bits (Shamir's trick)."""
    both = _add(u, v)
    total = (0, 1, 0)
    bit = 1 << 255
    while bit:
        total = _double(total)
        if a & bit:
            total = _add(total, both if b & bit else u)
        elif b & bit:
            total = _add(total, v)
        bit >>= 1
    return total


def _double(point: Point) -> Point:
    x, y, z = point
    yy = y * y % P
    zz = z * z % P
    s = 4 * x * yy % P
    m = 3 * (x - zz) * (x + zz) % P  # the curve's a is -3
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - 8 * yy * yy) % P, 2 * y * z % P


def _add(left: Point, right: Point) -> Point:
    x1, y1, z1 = left
    x2, y2, z2 = right
    if z1 == 0:
        return right
    if z2 == 0:
        return left
    z1z1 = z1 * z1 % P
    z2z2 = z2 * z2 % P
    u1 = x1 * z2z2 % P
    s1 = y1 * z2z2 * z2 % P
    h = (x2 * z1z1 - u1) % P
    d = (y2 * z1z1 * z1 - s1) % P
    if h == 0:
        return _double(left) if d == 0 else (0, 1, 0)
    hh = h * h % P
    hhh = h * hh % P
    v = u1 * hh % P
    x3 = (d * d - hhh - 2 * v) % P
    return x3, (d * (v - x3) - s1 * hhh) % P, z1 * z2 * h % P
