"""An embedded MQTT broker (amqtt) for the demo: nothing to install, nothing kept.

`python -m tools.demonstration.broker` prints its port once it listens. Not for a claim about
reliability: the tests use Mosquitto.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys

from amqtt.broker import Broker


def free_port() -> int:
    """A TCP port of the loopback interface that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def _serve(port: int) -> None:
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": "127.0.0.1:%d" % port}},
            "plugins": {
                "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True},
            },
        }
    )
    await broker.start()
    print(port, flush=True)
    await asyncio.Event().wait()


def main() -> int:
    logging.disable(logging.WARNING)
    try:
        asyncio.run(_serve(free_port()))
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
