# SPDX-License-Identifier: MIT
"""The registry of a fleet as people run it: a master with a copy, watched by Sentinels; TLS; a login."""

import signal
import socket
import threading
import time

import pytest

from certificates import Authority
from conftest import free_port, wait_for
from fleet import Fleet, Redis, accept_each, check, end, order
from registries import Sentinel, logged_in

CAR = "9170503816"


@pytest.fixture
def servers(tmp_path):
    """A master and its copy."""
    made = [Redis(tmp_path / "master")]
    made.append(Redis(tmp_path / "copy", ["--replicaof", f"127.0.0.1 {made[0].port}"]))
    wait_for(lambda: "master_link_status:up" in made[1].call("INFO", "replication"), "the copy")
    yield made
    for one in made:
        one.stop()


@pytest.fixture
def keep():
    made = []

    def add(one):
        made.append(one)
        return one

    yield add
    for one in reversed(made):
        getattr(one, "close", None) and one.close()
        hasattr(one, "process") and one.stop()


def answered(sub, ident=CAR):
    """A command that is answered, soon."""
    def one():
        id = f"y{time.monotonic()}"
        order(sub, ident, id)
        return end(sub, ident, id)[-1] == "answered"
    wait_for(one, "an answered command")


@pytest.mark.parametrize("how", ("killed", "ordered"))
def test_a_promotion_is_followed(tmp_path, broker, servers, keep, subscribe, how):
    master, copy = servers
    sentinels = [keep(Sentinel(tmp_path / f"sentinel{n}", master.port, password="watch")) for n in range(2)]
    for s in sentinels:
        s.call = lambda *words, s=s: logged_in(s, words)
    wait_for(lambda: all("num-slaves" in (x := s.call("SENTINEL", "master", "cars")) and x[x.index("num-slaves") + 1] == "1"
                         and x[x.index("num-other-sentinels") + 1] == "1" for s in sentinels), "all know all")
    list_of = ",".join([f"redis://127.0.0.1:{free_port()}"] + [f"redis://127.0.0.1:{s.port}" for s in sentinels])
    fleet = keep(Fleet(tmp_path, broker, master, "ab", options={"cluster": {
        "registry": "redis://cars/0", "sentinels": list_of, "sentinel_password": "watch"}}))
    sub = subscribe()
    fleet.car("a", CAR)
    fleet.wait_has("a", CAR)
    answered(sub)
    if how == "killed":
        master.stop(signal.SIGKILL)
        sentinels[0].stop(signal.SIGKILL)  # nobody has to answer but one
        sentinels[0].start()
    else:
        sentinels[0].call("SENTINEL", "failover", "cars")
    fleet.redis = copy
    for name in "ab":
        wait_for(lambda name=name: f"the master is 127.0.0.1:{copy.port}" in fleet.bridges[name].log(), "the copy is used")
    wait_for(lambda: fleet.router() in ("a", "b") and fleet.has("a", CAR), "its data")
    answered(sub)


def test_without_a_sentinel_records_go_on(tmp_path, broker, keep, subscribe):
    fleet = keep(Fleet(tmp_path, broker, None, "", options={"cluster": {
        "registry": "redis://cars/0", "sentinels": f"redis://127.0.0.1:{free_port()}"}}))
    fleet.redis = type("Nobody", (), {"port": 1})()
    fleet.add("a")
    sub = subscribe()
    fleet.bridges["a"].wait_connected()
    fleet.car("a", CAR)
    sub.on(f"trackers/{CAR}/position")
    wait_for(lambda: "sentinel" in fleet.bridges["a"].log(), "the log")


def test_tls_and_a_login(tmp_path, broker, keep, subscribe):
    authority = Authority(tmp_path)
    pem, key = authority.issue("redis")
    port = free_port()
    redis = keep(Redis(tmp_path / "redis", [
        "--tls-port", str(port), "--tls-cert-file", pem, "--tls-key-file", key, "--tls-ca-cert-file", authority.pem,
        "--tls-auth-clients", "no"]))
    assert redis.call("ACL", "SETUSER", "fleet", "on", ">open-sesame", "~t2m:*", "+@all", "-@dangerous") == "OK"
    fleet = keep(Fleet(tmp_path, broker, redis, "ab", options={"cluster": {
        "registry": f"rediss://127.0.0.1:{port}/0", "tls_ca_file": authority.pem, "username": "fleet", "password": "open-sesame"}}))
    sub = subscribe()
    fleet.car("b", CAR)
    fleet.wait_has("b", CAR)
    answered(sub)
    clients = [line for line in redis.call("CLIENT", "LIST").splitlines() if "user=fleet" in line]
    assert len(clients) == 4 and all(f"laddr=127.0.0.1:{port}" in line for line in clients)


@pytest.mark.parametrize("names, authority_of, said", (
    ("DNS:elsewhere.example", "ca", "IP address mismatch"), ("IP:127.0.0.1", "other", "certificate")))
def test_a_certificate_that_is_not_the_registrys(tmp_path, broker, keep, subscribe, names, authority_of, said):
    authority, other = Authority(tmp_path), Authority(tmp_path, "other")
    pem, key = authority.issue("redis", names)
    port = free_port()
    redis = keep(Redis(tmp_path / "redis", ["--tls-port", str(port), "--tls-cert-file", pem, "--tls-key-file", key,
                                           "--tls-ca-cert-file", authority.pem, "--tls-auth-clients", "no"]))
    fleet = keep(Fleet(tmp_path, broker, redis, "", options={"cluster": {
        "registry": f"rediss://127.0.0.1:{port}/0", "tls_ca_file": authority.pem if authority_of == "ca" else other.pem}}))
    fleet.add("a")
    wait_for(lambda: "(claims)" in fleet.bridges["a"].log(), "the refusal")
    assert said in fleet.bridges["a"].log(), fleet.bridges["a"].log()
    assert redis.call("KEYS", "*") == []


@pytest.mark.parametrize("cluster, said", (
    ("registry = redis://cars/0\nsentinels = host:26379", "[cluster] sentinels: it does not begin with redis://"),
    ("sentinels = redis://host", "names one master"),
    ("registry = redis://a,redis://b\nsentinels = redis://host", "names one master"),
))
def test_sentinels_with_faults(tmp_path, cluster, said):
    done = check(tmp_path, cluster)
    assert done.returncode == 1 and said in done.stderr, done.stderr


# --- Sentinels that do not agree ---


class SaysWhatIsSet:
    """Answers as a Sentinel: `port` and `epoch` of the master."""

    def __init__(self, port, epoch):
        self.said, self.server = (port, epoch), socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        accept_each(self.server, lambda client: threading.Thread(target=self.serve, args=(client,), daemon=True).start())

    @staticmethod
    def words(*texts):
        return b"*%d\r\n" % len(texts) + b"".join(b"$%d\r\n%s\r\n" % (len(t), t.encode()) for t in map(str, texts))

    def serve(self, s):
        file = s.makefile("rb")
        try:
            while head := file.readline():
                call = [file.read(int(file.readline()[1:]) + 2)[:-2].decode().lower() for _ in range(int(head[1:]))]
                port, epoch = self.said
                if call[:2] == ["sentinel", "master"]:
                    s.sendall(self.words("name", "cars", "ip", "127.0.0.1", "port", port, "flags", "master", "config-epoch", epoch))
                elif call[0] == "sentinel":
                    s.sendall(self.words("127.0.0.1", port))
                else:
                    s.sendall(b"+PONG\r\n")
        except (OSError, ValueError):
            pass

    def close(self):
        self.server.close()


def test_the_newest_of_what_sentinels_say_counts(tmp_path, broker, keep, subscribe):
    """A killed master is back as a master with old data, and only one Sentinel knows of the promotion yet."""
    servers = [keep(Redis(tmp_path / f"server{n}")) for n in range(2)]
    sentinels = [keep(SaysWhatIsSet(servers[0].port, 1)) for _ in range(3)]
    fleet = keep(Fleet(tmp_path, broker, servers[1], "", options={"cluster": {
        "registry": "redis://cars/0", "sentinels": ",".join(f"redis://127.0.0.1:{s.port}" for s in sentinels)}}))

    def has(n):
        return servers[n].call("EXISTS", "t2m:alive:a") == 1
    sentinels[2].said = (servers[1].port, 2)
    fleet.add("a")
    wait_for(lambda: has(1), "the promoted server is used from the beginning")
    assert not has(0)
    sentinels[0].said = (servers[0].port, 3)  # while it is connected
    wait_for(lambda: has(0), "the next one")
    servers[0].stop(signal.SIGKILL)
    wait_for(lambda: fleet.bridges["a"].log().count("trying again") >= 2, "the loss")
    sentinels[0].said = (servers[1].port, 2)  # what is older than what was heard is not used
    time.sleep(2)
    servers[0].start()
    sentinels[1].said = (servers[0].port, 3)
    wait_for(lambda: has(0), "the same one, when it is back")
    says = [line for line in fleet.bridges["a"].log().splitlines() if "the master is" in line]
    assert [str(servers[n].port) in says[k] for k, n in enumerate((1, 0))] == [True, True] and len(says) == 2, says
