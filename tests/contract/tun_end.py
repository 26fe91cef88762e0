"""One end of a mesh: `tun_end.py INTERFACE FD` makes the TUN interface and carries its IP packets
to the other end over the socket FD, and back."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import sys

# Linux, include/uapi/linux/if_tun.h
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000


def main() -> None:
    name, other = sys.argv[1], int(sys.argv[2])
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", name.encode(), IFF_TUN | IFF_NO_PI))
    while True:
        for ready in select.select([tun, other], [], [])[0]:
            packet = os.read(ready, 65535)
            if not packet:
                return
            try:
                os.write(other if ready == tun else tun, packet)
            except OSError:
                pass  # the interface is not up yet: lost, as packets are


if __name__ == "__main__":
    main()
