# SPDX-License-Identifier: MIT
"""Ports that stay free until a test uses them. The system gives those of its own range to connections, also to a port that a test has seen free
and will listen on later; so these lie below that range, and each process of a parallel run has a part of its own."""

import itertools
import os
import pathlib
import random
import socket

FIRST, PARTS = 10000, 16
LAST = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def _of_this_process():
    part = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % PARTS
    size = (LAST - FIRST) // PARTS
    assert size > 100, f"the system gives ports from {LAST} on to connections; let net.ipv4.ip_local_port_range begin above 20000"
    ports = [FIRST + part * size + n for n in range(size)]
    at = random.SystemRandom().randrange(size)  # runs beside this one, and forked processes, begin elsewhere
    return itertools.cycle(ports[at:] + ports[:at])


_ports = _of_this_process()
_owner = os.getpid()


def free_port():
    """A port that is free for TCP and UDP, and is given to nobody else."""
    global _ports, _owner
    if _owner != os.getpid():  # forked: the process above would give the same ones
        _ports, _owner = _of_this_process(), os.getpid()
    while True:
        port = next(_ports)
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind(("127.0.0.1", port))
                udp.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
