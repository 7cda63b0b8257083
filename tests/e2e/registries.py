# SPDX-License-Identifier: MIT
"""A registry as people run it: a master, a copy that follows it, and Sentinels that promote the copy when the master is gone."""

import pathlib
import re
import signal
import socket
import subprocess
import time

from conftest import wait_for
from fleet import Redis

NAME = "cars"  # of the master, at the Sentinels
TAIL = 2 << 20  # bytes of a log of writes that are compared
ALIKE = 50  # so many writes show where two logs are the same


class Sentinel(Redis):
    def __init__(self, directory, master, quorum=1, password=None):
        self.master, self.quorum, self.password = master, quorum, password
        super().__init__(directory)

    def start(self):
        conf = self.directory / "sentinel.conf"
        if not conf.exists():
            lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self.directory}", "protected-mode no",
                     f"sentinel monitor {NAME} 127.0.0.1 {self.master} {self.quorum}",
                     f"sentinel down-after-milliseconds {NAME} 1000", f"sentinel failover-timeout {NAME} 3000"]
            conf.write_text("\n".join(lines + ([f"requirepass {self.password}"] if self.password else [])) + "\n")
        self.process = subprocess.Popen(["redis-server", conf, "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.answers, "the sentinel")

    def told(self, *words):
        """Names and values that it says of the master."""
        said = self.call("SENTINEL", *words) or []
        return dict(zip(said[::2], said[1::2]))


class Server(Redis):
    """Its configuration is a file, for Sentinels write into it whom it follows. What it has answered is in its log of writes, also when it is killed."""

    def __init__(self, directory, follows=None):
        self.follows = follows
        super().__init__(directory)

    def start(self):
        conf = self.directory / "redis.conf"
        if not conf.exists():
            lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self.directory}", 'save ""', "appendonly yes", "appendfsync no",
                     "auto-aof-rewrite-percentage 0", "repl-diskless-sync-delay 0", "logfile redis.log"]
            conf.write_text("\n".join(lines + ([f"replicaof 127.0.0.1 {self.follows.port}"] if self.follows else [])) + "\n")
        self.process = subprocess.Popen(["redis-server", conf], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.answers, "redis")

    def is_up(self):
        return self.process.poll() is None

    def replication(self):
        return dict(re.findall(r"(\w+):([^\r\n]*)", self.call("INFO", "replication") or ""))

    def log_of_writes(self):
        """The newest of it, as it stands in the files."""
        manifest = (self.directory / "appendonlydir/appendonly.aof.manifest").read_text()
        name = re.findall(r"file (\S+) seq \d+ type i", manifest)[-1]
        with open(self.directory / "appendonlydir" / name, "rb") as file:
            file.seek(max(0, file.seek(0, 2) - TAIL))
            return file.read()


class Watched:
    """A master, its copy, and their Sentinels; more than half of them promote the copy."""

    def __init__(self, directory, sentinels=3):
        directory = pathlib.Path(directory)
        directory.mkdir(exist_ok=True)
        self.servers = [Server(directory / "server0")]
        self.servers.append(Server(directory / "server1", follows=self.servers[0]))
        self.servers[0].call("SET", "copied", 1)
        wait_for(lambda: self.servers[1].call("GET", "copied") == "1", "the copy")
        self.sentinels = [Sentinel(directory / f"sentinel{n}", self.servers[0].port, sentinels // 2 + 1) for n in range(sentinels)]
        wait_for(self.is_whole, "all Sentinels know all", 60)

    def named(self):
        """The port of the master, as the first Sentinel has it."""
        return int(self.sentinels[0].call("SENTINEL", "get-master-addr-by-name", NAME)[1])

    def pair(self):
        """The master that is named, and the other one."""
        port = self.named()
        return sorted(self.servers, key=lambda server: server.port != port)

    def is_copied(self, master, copy):
        """What the master does reaches the copy, and stands in the copy's log."""
        if not (master.is_up() and copy.is_up()) or "aof_rewrite_in_progress:0" not in (copy.call("INFO", "persistence") or ""):
            return False
        of_master, of_copy = master.replication(), copy.replication()
        heard = re.search(r"state=online,offset=(\d+)", of_master.get("slave0", ""))
        return of_master.get("role") == "master" and of_copy.get("master_link_status") == "up" and heard is not None and int(heard[1]) > 0

    def is_known(self, sentinel, master):
        """This Sentinel knows the master, the copy and the other Sentinels, and finds nothing wrong with them."""
        told, copies = sentinel.told("master", NAME), sentinel.call("SENTINEL", "replicas", NAME) or []
        known = [dict(zip(copy[::2], copy[1::2])) for copy in copies]
        return (told.get("port"), told.get("flags"), told.get("num-other-sentinels")) == (str(master.port), "master", str(len(self.sentinels) - 1)) and \
            [(copy.get("flags"), copy.get("master-link-status")) for copy in known] == [("slave", "ok")]

    def is_whole(self):
        """The copy could be promoted."""
        master, copy = self.pair()
        return self.is_copied(master, copy) and all(self.is_known(sentinel, master) for sentinel in self.sentinels)

    def call(self, *words):
        """One call of the master."""
        return self.pair()[0].call(*words)

    def kill_master(self, late=0):
        """The one that was the master, and the logs of both: what was done, and what the copy has got of it. `late`: for so many seconds
        before its end nothing reaches the copy."""
        master, copy = self.pair()
        if late > 0:
            copy.process.send_signal(signal.SIGSTOP)
            master.call("CLIENT", "KILL", "TYPE", "replica")
            time.sleep(late)
        master.stop(signal.SIGKILL)
        copy.process.send_signal(signal.SIGCONT)
        wait_for(lambda: copy.replication().get("master_link_status") == "down", "the copy has read all that there is")
        return master, master.log_of_writes(), copy.log_of_writes()

    def stop(self):
        for one in (*self.sentinels, *self.servers):
            one.stop(signal.SIGKILL)


def number(log, at, kind):
    """A line with a number: where it ends, and the number; None: the log ends before."""
    end = log.find(b"\r\n", at)
    return (end + 2, int(log[at + 1:end])) if end > 0 and log[at:at + 1] == kind else None


def write_at(log, at):
    """The call that begins there, and where it ends; None: the log ends before."""
    line, words = number(log, at, b"*"), []
    for _ in range(line[1] if line else 0):
        size = number(log, line[0], b"$")
        if not size or size[0] + size[1] + 2 > len(log):
            return None
        words.append(log[size[0]:size[0] + size[1]])
        line = (size[0] + size[1] + 2, 0)
    return (tuple(words), line[0]) if line else None


def writes(log):
    """The calls in a log of writes, from the first whole transaction on."""
    found, at = [], log.find(b"*1\r\n$5\r\nMULTI\r\n")
    while at >= 0 and (call := write_at(log, at)):
        at = call[1]
        if call[0][0].upper() != b"SELECT":
            found.append(call[0])
    return found


def writes_not_copied(done, got):
    """Which of the writes that were done are behind all that the copy has got. None: the copy's have no place among them."""
    mark = got[-ALIKE:]
    for end in range(len(done), len(mark) - 1, -1):
        if mark and done[end - len(mark):end] == mark:
            return done[end:]
    return None


def logged_in(server, words):
    """A call after AUTH."""
    with socket.create_connection(("127.0.0.1", server.port), 5) as s:
        file = s.makefile("rb")
        for call in (("AUTH", server.password), words):
            s.sendall(b"*%d\r\n" % len(call) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in (str(x).encode() for x in call)))
            value = server.read(file)
        return value
