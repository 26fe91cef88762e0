"""The systemd unit of the gateway: started again whenever it ends or hangs, and allowed nothing but
its folder, its serial lines and the network.

It runs as a user of its own that exists as long as the service (DynamicUser), with
/var/lib/ami-gateway as its one writable folder: settings, board.key and data.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from gateway.settings import Settings
from hal.rt import port_url

FOLDER = "ami-gateway"  # in /var/lib
WATCHDOG_S = 60
# Lines that may be plugged in later, under whatever name: they are allowed by the kinds of device
# (/proc/devices) they appear as, for systemd looks up a name once, as the service starts.
_USB_KINDS = ("char-ttyUSB", "char-ttyACM")
_COME_AND_GO = ("usb:", "/dev/ttyUSB", "/dev/ttyACM", "/dev/serial/")

_UNIT = """\
# /etc/systemd/system/ami-gateway.service, made by `ami-gateway --unit`: make it again when the
# settings name other serial lines.
[Unit]
Description=AMI concentrator gateway
Documentation=man:systemd.exec(5)
Wants=network-online.target
After=network-online.target
# However often it fails: a concentrator has nobody to start it by hand.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=%(command)s --settings %%S/%(folder)s/gateway.json
Restart=always
RestartSec=5
WatchdogSec=%(watchdog)d
TimeoutStartSec=120
TimeoutStopSec=30

DynamicUser=yes
StateDirectory=%(folder)s
StateDirectoryMode=0700
UMask=0077
%(groups)s
DevicePolicy=closed
%(devices)s
PrivateDevices=no
NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProcSubset=pid
PrivateTmp=yes
PrivateUsers=%(private_users)s
PrivateMounts=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RemoveIPC=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
KeyringMode=private
OOMScoreAdjust=-500
MemoryMax=256M
TasksMax=64

[Install]
WantedBy=multi-user.target
"""


def unit(settings: Settings, uarts: Mapping[str, str]) -> str:
    """The unit's text. Only devices that the settings name may be opened."""
    devices = sorted(_devices(settings, uarts))
    return _UNIT % {
        "command": _command(),
        "folder": FOLDER,
        "watchdog": WATCHDOG_S,
        # The group that owns serial lines on Debian and its kin.
        "groups": "SupplementaryGroups=dialout" if devices else "# no serial line",
        "devices": "\n".join("DeviceAllow=%s rw" % device for device in devices) or "# none",
        # In a user namespace of its own a process has no part in the group of the lines.
        "private_users": "no" if devices else "yes",
    }


def _devices(settings: Settings, uarts: Mapping[str, str]) -> set[str]:
    urls = [one.url for one in settings.modems if one.url]
    if settings.local is not None:
        urls.append(settings.local.url)
    devices: set[str] = set()
    for url in urls:
        line = port_url.parse(url)
        if line.kind == port_url.TCP:
            continue
        device = uarts[line.place] if line.kind == port_url.UART else line.place
        if line.kind == port_url.USB or device.startswith(_COME_AND_GO):
            devices.update(_USB_KINDS)
        else:
            devices.add(device)
    return devices


def _command() -> str:
    """The console script of this installation, by its whole path."""
    script = Path(sys.executable).parent / "ami-gateway"
    return str(script) if script.exists() else "%s -m board.linux" % sys.executable
