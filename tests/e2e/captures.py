# SPDX-License-Identifier: MIT
"""Capture files, built byte by byte as tcpdump and Wireshark write them."""

import ipaddress
import struct

UNIT, SERVER = ("203.0.113.4", 50112), ("198.51.100.1", 8888)
UNIT6, SERVER6 = ("2001:db8::4", 50112), ("2001:db8::1", 8888)


def addressed(payload, protocol, source, target):
    a, b = ipaddress.ip_address(source), ipaddress.ip_address(target)
    if a.version == 6:
        return struct.pack(">IHBB", 6 << 28, len(payload), protocol, 64) + a.packed + b.packed + payload
    return struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0, 64, protocol, 0) + a.packed + b.packed + payload


def tcp(data, sequence, source=UNIT, target=SERVER, flags="PA"):
    bits = sum({"F": 1, "S": 2, "R": 4, "P": 8, "A": 16}[f] for f in flags)
    return addressed(struct.pack(">HHIIBBHHH", source[1], target[1], sequence % 2**32, 0, 0x80, bits, 1024, 0, 0) + b"\x01" * 12 + data,
                     6, source[0], target[0])


def udp(data, source=UNIT, target=SERVER):
    return addressed(struct.pack(">HHHH", source[1], target[1], 8 + len(data), 0) + data, 17, source[0], target[0])


def ether(packet):
    return struct.pack(">H", 0x86dd if packet[0] >> 4 == 6 else 0x0800)


LINKS = {  # number, and what stands in front of IP
    "ethernet": (1, lambda p: bytes(12) + ether(p)),
    "vlan": (1, lambda p: bytes(12) + bytes.fromhex("8100000a") + ether(p)),
    "vlan-in-vlan": (1, lambda p: bytes(12) + bytes.fromhex("88a8000a8100000b") + ether(p)),
    "raw": (101, lambda p: b""),
    "raw-12": (12, lambda p: b""),
    "cooked": (113, lambda p: bytes(14) + ether(p)),
    "cooked-2": (276, lambda p: ether(p) + bytes(18)),
    "null-little": (0, lambda p: struct.pack("<I", 2)),
    "null-big": (0, lambda p: struct.pack(">I", 2)),
    "loopback": (108, lambda p: struct.pack(">I", 2)),
    "ipv4": (228, lambda p: b""),
}


def framed(packet, link):
    """Ethernet pads short packets."""
    data = LINKS[link][1](packet) + packet
    return data + bytes(max(0, 60 - len(data))) if LINKS[link][0] == 1 else data


def pcap(packets, link="ethernet", order="<", nano=False, snaplen=262144):
    out = struct.pack(order + "IHHiIII", 0xa1b23c4d if nano else 0xa1b2c3d4, 2, 4, 0, 0, snaplen, LINKS[link][0])
    for seconds, packet in packets:
        data = framed(packet, link)
        fraction = int(seconds % 1 * (1e9 if nano else 1e6))
        out += struct.pack(order + "IIII", 1700000000 + int(seconds), fraction, min(len(data), snaplen), len(data)) + data[:snaplen]
    return out


def block(kind, body, order):
    body += bytes(-len(body) % 4)
    return struct.pack(order + "II", kind, len(body) + 12) + body + struct.pack(order + "I", len(body) + 12)


def pcapng(packets, link="ethernet", order="<"):
    out = block(0x0a0d0d0a, struct.pack(order + "IHHq", 0x1a2b3c4d, 1, 0, -1), order)
    out += block(1, struct.pack(order + "HHI", LINKS[link][0], 0, 0), order)
    out += block(4, bytes(8), order)  # names of hosts: of no interest
    for seconds, packet in packets:
        data = framed(packet, link)
        ticks = (1700000000 * 10**6) + int(seconds * 1e6)
        out += block(6, struct.pack(order + "IIIII", 0, ticks >> 32, ticks & 0xffffffff, len(data), len(data)) + data, order)
    return out
