"""ECDSA and ECDH on the curves P-256 and P-384 in plain integers (FIPS 186-5 6.4, SP 800-186 3.2.1,
SP 800-56A 5.7.1.2).

Big integers here take longer for some values than for others: whoever can time this machine to the
microsecond while it signs can learn about a private key. Nonces are those of RFC 6979, so that a
board's weak random numbers cannot give a private key away.
"""

from __future__ import annotations

from hal.micropython.hmac import hmac

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    # (X, Y, Z) stands for x = X / Z**2, y = Y / Z**3; Z = 0 is the point at infinity.
    Point = tuple[int, int, int]
    Hash = Callable[[bytes], bytes]

_INFINITY = (0, 1, 0)


class Curve:
    """y**2 = x**3 - 3x + b over the integers modulo p, with generator (gx, gy) of the prime order
    n. `size` is that of coordinates in bytes."""

    def __init__(self, size: int, p: int, b: int, n: int, gx: int, gy: int) -> None:
        self.size = size
        self.p = p
        self.b = b
        self.n = n
        self.g = (gx, gy, 1)

    def is_on_curve(self, x: int, y: int) -> bool:
        p = self.p
        return x < p and y < p and (y * y - (x * x - 3) * x - self.b) % p == 0

    def y_of(self, x: int) -> int | None:
        """One of the two y of the points that have this x; None if there are none. p % 4 is 3 for
        both curves, so that (SP 800-186 D.1.4) a root, if there is one, is a power."""
        y = pow((x * x - 3) * x + self.b, (self.p + 1) // 4, self.p)
        return y if self.is_on_curve(x, y) else None

    def multiple(self, k: int, x: int, y: int) -> tuple[int, int]:
        """k times the point (x, y), which must be on the curve, for 0 < k < n: four bits a step."""
        multiples = [_INFINITY, (x, y, 1)]
        for _ in range(14):
            multiples.append(self._add(multiples[-1], multiples[1]))
        total = _INFINITY
        for shift in range(8 * self.size - 4, -1, -4):
            for _ in range(4):
                total = self._double(total)
            total = self._add(total, multiples[k >> shift & 15])
        return self._affine(total)

    def public(self, secret: int) -> tuple[int, int]:
        """secret times the generator."""
        return self.multiple(secret, self.g[0], self.g[1])

    def sign(self, secret: int, digest: bytes, hashed: Hash) -> tuple[int, int]:
        """(r, s) of a digest made by `hashed`, whose output is as long as n."""
        n = self.n
        number = int.from_bytes(digest, "big")
        nonces = _Nonces(secret, digest, n, self.size, hashed)
        while True:
            k = nonces.following()
            r = self.public(k)[0] % n
            s = pow(k, n - 2, n) * (number + r * secret) % n
            if r and s:
                return r, s

    def verify(self, x: int, y: int, digest: int, r: int, s: int) -> bool:
        """True if (r, s) is a signature of `digest` (`size` bytes as an integer) by the public key
        (x, y), which must be on the curve."""
        n, p = self.n, self.p
        if not (0 < r < n and 0 < s < n):
            return False
        inverse = pow(s, n - 2, n)  # pow(s, -1, n) returns 0 on MicroPython
        total = self._sum_of_multiples(digest * inverse % n, self.g, r * inverse % n, (x, y, 1))
        z = total[2]
        if z == 0:
            return False
        # x mod n == r, without dividing: x is r, or r + n where that is below p.
        zz = z * z % p
        return (total[0] - r * zz) % p == 0 or (r + n < p and (total[0] - (r + n) * zz) % p == 0)

    def _affine(self, point: Point) -> tuple[int, int]:
        p = self.p
        inverse = pow(point[2], p - 2, p)
        square = inverse * inverse % p
        return point[0] * square % p, point[1] * square * inverse % p

    def _sum_of_multiples(self, a: int, u: Point, b: int, v: Point) -> Point:
        """a * u + b * v, both in one pass over the bits (Shamir's trick)."""
        both = self._add(u, v)
        total = _INFINITY
        bit = 1 << (8 * self.size - 1)
        while bit:
            total = self._double(total)
            if a & bit:
                total = self._add(total, both if b & bit else u)
            elif b & bit:
                total = self._add(total, v)
            bit >>= 1
        return total

    def _double(self, point: Point) -> Point:
        p = self.p
        x, y, z = point
        yy = y * y % p
        zz = z * z % p
        s = 4 * x * yy % p
        m = 3 * (x - zz) * (x + zz) % p  # the curve's a is -3
        x3 = (m * m - 2 * s) % p
        return x3, (m * (s - x3) - 8 * yy * yy) % p, 2 * y * z % p

    def _add(self, left: Point, right: Point) -> Point:
        p = self.p
        x1, y1, z1 = left
        x2, y2, z2 = right
        if z1 == 0:
            return right
        if z2 == 0:
            return left
        z1z1 = z1 * z1 % p
        z2z2 = z2 * z2 % p
        u1 = x1 * z2z2 % p
        s1 = y1 * z2z2 * z2 % p
        h = (x2 * z1z1 - u1) % p
        d = (y2 * z1z1 * z1 - s1) % p
        if h == 0:
            return self._double(left) if d == 0 else _INFINITY
        hh = h * h % p
        hhh = h * hh % p
        v = u1 * hh % p
        x3 = (d * d - hhh - 2 * v) % p
        return x3, (d * (v - x3) - s1 * hhh) % p, z1 * z2 * h % p


P256 = Curve(
    32,
    0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF,
    0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
    0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
P384 = Curve(
    48,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEFFFFFFFF0000000000000000FFFFFFFF,
    0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
    0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
    0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
)


class _Nonces:
    """The sequence of k of RFC 6979 3.2, for a hash exactly as long as the curve's order."""

    def __init__(self, secret: int, digest: bytes, n: int, size: int, hashed: Hash) -> None:
        self._n = n
        self._hash = hashed
        self._size = size
        seed = secret.to_bytes(size, "big") + (int.from_bytes(digest, "big") % n).to_bytes(
            size, "big"
        )
        self._v = b"\x01" * size
        self._k = bytes(size)
        for separator in (b"\x00", b"\x01"):
            self._k = self._hmac(self._v + separator + seed)
            self._v = self._hmac(self._v)

    def following(self) -> int:
        while True:
            self._v = self._hmac(self._v)
            k = int.from_bytes(self._v, "big")
            # what comes after k, should it be of no use
            self._k = self._hmac(self._v + b"\x00")
            self._v = self._hmac(self._v)
            if 0 < k < self._n:
                return k

    def _hmac(self, message: bytes) -> bytes:
        return hmac(self._hash, 64 if self._size == 32 else 128, self._k, message)
