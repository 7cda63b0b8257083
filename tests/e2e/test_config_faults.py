# SPDX-License-Identifier: MIT
"""What the check of the configuration finds beyond single values: each fault is one line with its place, what is wrong, what is allowed
and what to type; a secret is never shown; and a reload with any of them changes nothing."""

import os
import signal
import subprocess

import pytest
from certificates import Authority
from conftest import BUILD, Unit, free_port, wait_for
from test_service import v1

PROGRAM = BUILD / "tracker2mqtt"
SECRET = "hunter2"


def check(path, **environment):
    done = subprocess.run([PROGRAM, "-t", "-c", path], capture_output=True, text=True, timeout=60, env={**os.environ, **environment})
    assert SECRET not in done.stderr and done.stdout == ""
    return done


def write(tmp_path, text):
    """The outbox is told, so that it is no fault of who may not write there."""
    ini = tmp_path / "a.ini"
    ini.write_text(f"[outbox]\npath = {tmp_path}/outbox\n{text}")
    return ini


def lines(done, ini):
    """Without the place's directory; the last line counts them."""
    found = [line.replace(f"{ini}:", "a.ini:") for line in done.stderr.splitlines()]
    assert found[-1].startswith("tracker2mqtt: ") == (done.returncode == 1)
    return found[:-1]


FREE = "is not free:"
OWN = "give each a port of its own"


@pytest.mark.parametrize("text, fault", [
    ("[listen]\ntcp = 0.0.0.0:8888\n[web]\nlisten = 127.0.0.1:8888\n",
     f"a.ini:6: [web] listen: 127.0.0.1:8888 {FREE} [listen] tcp listens on 0.0.0.0:8888; {OWN}"),
    ("[metrics]\nlisten = 192.0.2.1:9000\n[web]\nlisten = 0.0.0.0:9000\n",
     f"a.ini:6: [web] listen: 0.0.0.0:9000 {FREE} [metrics] listen listens on 192.0.2.1:9000; {OWN}"),
    ("[listen]\ntcp = 127.0.0.1:9000,127.0.0.2:9000,127.0.0.1:9000\n",
     f"a.ini:4: [listen] tcp: 127.0.0.1:9000 {FREE} [listen] tcp listens on 127.0.0.1:9000; {OWN}"),
    ("[listen]\nudp = [::]:9000,[::1]:9000\n", f"a.ini:4: [listen] udp: [::1]:9000 {FREE} [listen] udp listens on [::]:9000; {OWN}"),
    ("[metrics]\nlisten = 127.0.0.1:8888\n", f"a.ini:4: [metrics] listen: 127.0.0.1:8888 {FREE} [listen] tcp listens on 0.0.0.0:8888; {OWN}"),
    ("[listen]\ntcp = 0.0.0.0:1883\n",
     "a.ini:4: [listen] tcp: 0.0.0.0:1883 is the port of the broker (localhost:1883); give the bridge another one"),
    ("[mqtt]\nhost = 127.0.0.1\nport = 8880\n[web]\nlisten = 127.0.0.1:8880\n",
     "a.ini:7: [web] listen: 127.0.0.1:8880 is the port of the broker (127.0.0.1:8880); give the bridge another one"),
    ("[mqtt]\nhost = one.example, [::1]:9001\n[listen]\ntcp = [::]:9001\n",
     "a.ini:6: [listen] tcp: [::]:9001 is the port of the broker ([::1]:9001); give the bridge another one"),
    ("[relay]\nserver = 127.0.0.1:8888\n",
     "a.ini:4: [relay] server = 127.0.0.1:8888 is this bridge itself: [listen] tcp listens on 0.0.0.0:8888; name the maker's platform"),
    ("[relay]\nserver = http://platform.example:80\n",
     "a.ini:4: [relay] server = http://platform.example:80 is not allowed; allowed: host:port, without a scheme in front"),
    ("[relay]\nserver = platform.example\n",
     "a.ini:4: [relay] server = platform.example is not allowed; allowed: host:port, without a scheme in front"),
])
def test_addresses_that_exclude_each_other(tmp_path, text, fault):
    ini = write(tmp_path, text)
    assert lines(check(ini), ini) == [fault]


@pytest.mark.parametrize("text", [
    "[listen]\ntcp = 0.0.0.0:9000,[::]:9000\nudp = 0.0.0.0:9000\n",
    "[listen]\ntcp = 127.0.0.1:9000,127.0.0.2:9000\n",
    "[web]\nlisten = 127.0.0.1:8880\n[metrics]\nlisten = 127.0.0.1:8881\n",
    "[mqtt]\nhost = broker.example\nport = 8888\n",
    "[listen]\ntcp =\nudp = 0.0.0.0:1883\n",
    "[listen]\ntcp = 192.0.2.1:1883\n",
    "[relay]\nserver = platform.example:8888\n",
])
def test_addresses_that_go_together(tmp_path, text):
    done = check(write(tmp_path, text))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("value", ["192.168.1.300", "1.2.3", "fe80::1::2", "::g", "bro$ker", "-broker", ".broker", "a..b", "brok\u00ebr"])
def test_hosts_that_are_none(tmp_path, value):
    ini = write(tmp_path, f"[mqtt]\nhost = {value}\n")
    (line,) = lines(check(ini), ini)
    assert line.startswith("a.ini:4: host = ") and "is not allowed; allowed: a name, such as broker.example, or an address" in line


@pytest.mark.parametrize("value", ["192.168.1.30", "::1", "2001:db8::7", "broker", "my_broker.local", "a-b.example.", "3com.example"])
def test_hosts_that_are_some(tmp_path, value):
    assert check(write(tmp_path, f"[mqtt]\nhost = {value}\n")).returncode == 0


@pytest.mark.parametrize("text, fault", [
    ("[mqtt]\nhsot = x\n", "a.ini:4: unknown option hsot in [mqtt]; did you mean host? allowed: host port "),
    ("[mqtt]\nHost = x\n", "a.ini:4: unknown option Host in [mqtt]; did you mean host? allowed: host port "),
    ("[mqtt]\nuser = x\n", "a.ini:4: unknown option user in [mqtt]; did you mean username? allowed: host port "),
    (f"[mqtt]\npasswd = {SECRET}\n", "a.ini:4: unknown option passwd in [mqtt]; did you mean password? allowed: host port "),
    (f"[mqtt]\nqwertz = {SECRET}\n", "a.ini:4: unknown option qwertz in [mqtt]; allowed: host port "),
    ("[mqtt]\nprefix = x\n", "a.ini:4: unknown option prefix in [mqtt]; prefix stands in [publish]; allowed here: host port "),
    ("[mqqt]\nhost = x\n", "a.ini:4: unknown section [mqqt]; did you mean [mqtt]? allowed: [listen] "),
    ("[Broker]\nhost = x\n", "a.ini:4: unknown section [Broker]; allowed: [listen] "),
    (f"[mqtt]\n{SECRET}\n", "a.ini:4: not understood; allowed: [section], key = value, # comment"),
    ("[commands]\nallow = foo.bar\n", "a.ini:4: [commands] allow: no protocol has a command foo.bar; tracker2mqtt --print-commands shows all"),
    ("[commands]\nallow = enginestop\n", "a.ini:4: [commands] allow: no protocol has a command enginestop; did you mean engine.stop? tracker"),
    ("[homeassistant]\ndiscovery = yes\n[publish]\nformat = msgpack\n", "a.ini:4: [homeassistant] discovery needs [publish] format = json"),
    ("[owntracks]\ntopic = owntracks/all\n", "a.ini:4: [owntracks] topic = owntracks/all is not allowed; allowed: topic levels"),
    ("[mqtt]\ntls_cert_file = {pem}\n", "a.ini:4: [mqtt] tls_cert_file and tls_key_file go together"),
    ("[mqtt]\ntls_ca_file = {pem}\n", "a.ini:4: [mqtt] tls_ca_file and tls_cert_file need tls = yes"),
    (f"[mqtt]\npassword = {SECRET}\n", "a.ini:4: [mqtt] a password (password) needs a username"),
    ("[listen]\nproxy_protocol = 127.0.0.1:9000\n", "a.ini:4: [listen] proxy_protocol: address 1 of the list stands in none of tcp, tls and udp"),
])
def test_names_and_options_that_do_not_go_together(tmp_path, text, fault):
    (tmp_path / "some.pem").write_text("x\n")
    ini = write(tmp_path, text.replace("{pem}", str(tmp_path / "some.pem")))
    ini.chmod(0o600)
    found = lines(check(ini), ini)
    assert found[0].startswith(fault), found


def test_an_option_outside_of_a_section(tmp_path):
    ini = tmp_path / "a.ini"
    ini.write_text("host = x\n")
    assert "a.ini:1: an option must stand in a section; host stands in [mqtt]; allowed: [listen] " in check(ini).stderr


FILES = [("listen", "tls_cert_file"), ("listen", "tls_key_file"), ("mqtt", "tls_ca_file"), ("mqtt", "tls_cert_file"), ("mqtt", "tls_key_file"),
         ("mqtt", "password_file"), ("web", "tls_cert_file"), ("web", "tls_key_file"), ("units", "file")]


@pytest.mark.parametrize("section, key", FILES)
def test_files_that_cannot_be_read(tmp_path, section, key):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, why in ((tmp_path / "nothing", "No such file or directory"), (tmp_path, "it is a directory"),
                      (tmp_path / "a.ini/x", "Not a directory"), (pipe, "it is no regular file")):
        ini = write(tmp_path, f"[{section}]\n{key} = {path}\n")
        found = lines(check(ini), ini)
        assert f"a.ini:4: [{section}] {key} = {path} cannot be read: {why}; allowed: a file that this user may read, or nothing" in found
        assert sum(str(path) in line for line in found) == 1, "one line is enough"


@pytest.mark.parametrize("section, key", [row for row in FILES if row[1] in ("tls_key_file", "password_file")])
def test_secret_files_that_everybody_can_read(tmp_path, section, key):
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    ini = write(tmp_path, f"[{section}]\n{key} = {secret}\n" + ("username = me\n" if key == "password_file" else ""))
    told = f"a.ini:4: notice: every user of this machine can read {secret}; type chmod 600 {secret}"
    for mode, expected in ((0o644, True), (0o604, True), (0o640, False), (0o600, False)):
        secret.chmod(mode)
        assert (told in lines(check(ini), ini)) == expected, oct(mode)


def test_a_password_in_a_file_that_everybody_can_read(tmp_path):
    ini = write(tmp_path, f"[mqtt]\nusername = me\npassword = {SECRET}\n")
    for mode, count in ((0o644, 1), (0o600, 0)):
        ini.chmod(mode)
        done = check(ini)
        assert done.returncode == 0 and done.stderr.count("and the password in it; use password_file, or type chmod 600 ") == count


@pytest.mark.parametrize("content, fault", [
    (b"", "its first line is empty; write the password there, or leave password_file empty"),
    (b"\n", "its first line is empty; write the password there, or leave password_file empty"),
    (b"\r\nsecret\n", "its first line is empty; write the password there, or leave password_file empty"),
    (b"x" * 600, "its first line is too long; allowed: 510 bytes"),
    ("secret\n".encode("utf-16"), "it is UTF-16; save it as UTF-8"),
])
def test_password_files_without_a_password(tmp_path, content, fault):
    path = tmp_path / "password"
    path.write_bytes(content)
    path.chmod(0o600)
    ini = write(tmp_path, f"[mqtt]\nusername = me\npassword_file = {path}\n")
    assert lines(check(ini), ini) == [f"a.ini:5: password_file {path}: {fault}"]


@pytest.mark.parametrize("section, port", [("listen", "tls"), ("web", "listen")])
def test_certificates_that_are_none(tmp_path, section, port):
    authority = Authority(tmp_path)
    (cert, key), (_, other) = authority.issue("one"), authority.issue("other")
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    for path in (key, other):
        path.chmod(0o600)
    for a, b, fault in ((empty, key, f"certificate {empty}: it holds none in PEM form (-----BEGIN …)"),
                        (cert, empty, f"private key {empty}: it holds none in PEM form (-----BEGIN …)"),
                        (cert, other, f"private key {other}: it does not belong to the certificate")):
        empty.chmod(0o600)
        ini = write(tmp_path, f"[{section}]\n{port} = 127.0.0.1:9000\ntls_cert_file = {a}\ntls_key_file = {b}\n")
        assert lines(check(ini), ini) == [f"a.ini:5: [{section}] tls: {fault}"]
    ini = write(tmp_path, f"[{section}]\n{port} = 127.0.0.1:9000\ntls_cert_file = {cert}\ntls_key_file = {key}\n")
    assert check(ini).returncode == 0, check(ini).stderr


HEAD = "environment:TRACKER2MQTT_"
NO_OPTION = "notice: no option has this name, and it is ignored; did you mean TRACKER2MQTT_"


@pytest.mark.parametrize("name, value, code, told", [
    ("HOST", "x", 0, f"{HEAD}HOST: {NO_OPTION}MQTT_HOST?"),
    ("MQT_HOST", "x", 0, f"{HEAD}MQT_HOST: {NO_OPTION}MQTT_HOST?"),
    ("PREFIX", "x", 0, f"{HEAD}PREFIX: {NO_OPTION}PUBLISH_PREFIX?"),
    ("PASSWORD", SECRET, 0, f"{HEAD}PASSWORD: {NO_OPTION}MQTT_PASSWORD?"),
    ("MQTT_HSOT", "x", 1, f"{HEAD}MQTT_HSOT: no such option; did you mean the key host? allowed: TRACKER2MQTT_<SECTION>_<KEY>"),
    ("MQTT_COLOUR", SECRET, 1, f"{HEAD}MQTT_COLOUR: no such option; allowed: TRACKER2MQTT_<SECTION>_<KEY> as in the file"),
    ("WEB_LISTEN", "127.0.0.1:8888", 1, f"{HEAD}WEB_LISTEN: [web] listen: 127.0.0.1:8888 is not free:"),
    ("METRICS_LISTEN", "127.0.0.1:8888", 1, f"{HEAD}METRICS_LISTEN: [metrics] listen: 127.0.0.1:8888 is not free:"),
    ("PORT", "tcp://10.0.0.1:8888", 0, None),  # what Kubernetes sets for a service of this name
    ("SERVICE_HOST", "10.0.0.1", 0, None),
    ("PORT_8888_TCP_ADDR", "10.0.0.1", 0, None),
    ("IMAGE", "x", 0, f"{HEAD}IMAGE: notice: no option has this name, and it is ignored; allowed: TRACKER2MQTT_<SECTION>_<KEY> as in the file"),
])
def test_the_environment(tmp_path, name, value, code, told):
    done = check(write(tmp_path, ""), **{f"TRACKER2MQTT_{name}": value})
    assert done.returncode == code, done.stderr
    assert (told is None and HEAD not in done.stderr) or told in done.stderr, done.stderr


def test_files_of_other_kinds(tmp_path):
    ini = tmp_path / "a.ini"
    ini.write_bytes("[mqtt]\nhost = x\n".encode("utf-16"))
    done = check(ini)
    assert done.stderr.splitlines() == [f"{ini}:1: this file is UTF-16; save it as UTF-8", "tracker2mqtt: 1 fault in the configuration"]
    ini.write_bytes(f"\ufeff[outbox]\r\npath = {tmp_path}/outbox\r\n".encode())
    assert check(ini).returncode == 0
    assert f"{tmp_path}: Is a directory" in check(tmp_path).stderr


@pytest.mark.parametrize("text, told", [
    ("nmae = x", "nmae is not allowed; did you mean name? allowed: the keys name, "),
    (f"pasword = {SECRET}", "pasword is not allowed; allowed: the keys name, "),
    ("id = 1\nid = 2", "id is set twice for this unit"),
])
def test_the_units_file(tmp_path, text, told):
    units = tmp_path / "units.ini"
    units.write_text(f"[9170503816]\n{text}\n")
    assert f"{units}:{text.count(chr(10)) + 2}: {told}" in check(write(tmp_path, f"[units]\nfile = {units}\n")).stderr


FAULTS = ["[log]\nlevel = loud", "[mqtt]\nhsot = x", "[Mqtt]\nhost = x", "nothing", "[commands]\nallow = foo.bar", "[metrics]\nlisten = {tcp}",
          "[units]\nfile = /nowhere", "[homeassistant]\ndiscovery = yes\n[publish]\nformat = msgpack", "[relay]\nserver = {tcp}",
          "[web]\ntls_key_file = /nowhere", " indented = x"]


def test_a_reload_with_any_fault_changes_nothing(make_bridge):
    """And no report is lost: the unit stays connected and is acknowledged as before."""
    bridge = make_bridge({"h02": {"ack": "r12"}})
    good = bridge.path.read_text().replace("ack = r12", "ack = v4")
    unit = Unit(bridge.port)
    for n, fault in enumerate(FAULTS, 1):
        bridge.path.write_text(good + fault.format(tcp=f"127.0.0.1:{bridge.port}") + "\n")
        bridge.process.send_signal(signal.SIGHUP)
        wait_for(lambda n=n: bridge.log().count("nothing is changed") == n, f"the end of the reload with {fault}")
        unit.send(v1("9170503816", f"{n:06}"))
        assert b",R12," in unit.receive(), fault
    bridge.path.write_text(good)
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in bridge.log(), "the reload")
    unit.send(v1("9170503816", "120000"))
    assert b",V4,V1," in unit.receive()
    unit.finish()


def test_a_start_with_a_taken_port_of_another_program(make_bridge, tmp_path):
    """The check cannot know it, the start names it."""
    bridge = make_bridge()
    ini = write(tmp_path, f"[listen]\ntcp = 127.0.0.1:{bridge.port}\nudp =\n[mqtt]\nport = {free_port()}\n")
    assert check(ini).returncode == 0
    done = subprocess.run([PROGRAM, "-c", ini], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and f"127.0.0.1:{bridge.port}: Address already in use" in done.stderr
