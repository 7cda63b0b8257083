# SPDX-License-Identifier: MIT
"""`tracker2mqtt -t` finds what would not work, and its line says what, where, what is allowed or what to do; a secret is never shown;
a reload of such a file leaves the bridge as it was."""

import os
import re
import signal
import subprocess

import pytest
from certificates import Authority
from conftest import BUILD, ROOT, Unit, v1, wait_for

PROGRAM = BUILD / "tracker2mqtt"
PLAIN = {key: value for key, value in os.environ.items() if not key.upper().startswith("TRACKER2MQTT_")}
ENDPOINTS = "allowed: address:port, comma-separated, at most 16, numeric addresses, IPv6 in brackets, or empty"
WITH_A_UNIT = "with a unit: ms s m h d"
SECTIONS = ("[listen] [limits] [mqtt] [publish] [commands] [outbox] [units]", "[owntracks] [homeassistant] [metrics] [web] [relay] [log]")


def check(directory, text, **environment):
    """The exit code and the lines that are told of a.ini, which is checked in its directory."""
    (directory / "a.ini").write_bytes(text if isinstance(text, bytes) else text.encode())
    done = subprocess.run([PROGRAM, "-t", "-c", "a.ini"], cwd=directory, capture_output=True, timeout=30,
                          env={**PLAIN, "TRACKER2MQTT_OUTBOX_PATH": str(directory / "outbox"), **environment})
    return done.returncode, done.stderr.decode().splitlines()


def faults(directory, text, **environment):
    code, lines = check(directory, text, **environment)
    last = lines.pop()
    told = [line for line in lines if ": warning: " not in line]
    assert code == 1 and last == f"tracker2mqtt: {len(told)} fault{'s' if len(told) > 1 else ''} in the configuration", (lines, last)
    return told


def whole(pattern):
    """A line; `…` in it stands for anything."""
    return re.compile(".*".join(re.escape(part) for part in pattern.split("…")))


ONE_PORT = "give each a port of its own"


@pytest.mark.parametrize("text, line", [
    ("[listen]\ntcp = 127.0.0.1:9000,127.0.0.1:9000\n", "2: [listen] tcp: 127.0.0.1:9000 and 127.0.0.1:9000 of [listen] tcp (line 2) are one TCP port"),
    ("[listen]\nudp = [::1]:9000,[::1]:9000\n", "2: [listen] udp: [::1]:9000 and [::1]:9000 of [listen] udp (line 2) are one UDP port"),
    ("[listen]\ntcp = 0.0.0.0:9000,127.0.0.1:9000\n", "2: [listen] tcp: 127.0.0.1:9000 and 0.0.0.0:9000 of [listen] tcp (line 2) are one TCP port"),
    ("[listen]\ntcp = [::]:9000,[::1]:9000\n", "2: [listen] tcp: [::1]:9000 and [::]:9000 of [listen] tcp (line 2) are one TCP port"),
    ("[listen]\ntcp = 127.0.0.1:9000\n[metrics]\nlisten = 0.0.0.0:9000\n",
     "4: [metrics] listen: 0.0.0.0:9000 and 127.0.0.1:9000 of [listen] tcp (line 2) are one TCP port"),
    ("[web]\nlisten = 0.0.0.0:9000\n[metrics]\nlisten = 127.0.0.1:9000\n",
     "2: [web] listen: 0.0.0.0:9000 and 127.0.0.1:9000 of [metrics] listen (line 4) are one TCP port"),
    ("[web]\nlisten = 127.0.0.1:8888\n", "2: [web] listen: 127.0.0.1:8888 and 0.0.0.0:8888 of [listen] tcp (not set) are one TCP port"),
    ("[listen]\ntcp = 127.0.0.1:1883\n", "2: [listen] tcp: 127.0.0.1:1883 is where the broker is, localhost:1883: [mqtt] host (not set), [mqtt] port (not set)"),
    ("[mqtt]\nport = 8888\n", "2: [listen] tcp: 0.0.0.0:8888 is where the broker is, localhost:8888: [mqtt] host (not set), [mqtt] port (line 2)"),
    ("[mqtt]\nhost = 127.0.0.1\n[web]\nlisten = 0.0.0.0:1883\n",
     "4: [web] listen: 0.0.0.0:1883 is where the broker is, 127.0.0.1:1883: [mqtt] host (line 2), [mqtt] port (not set)"),
    ("[mqtt]\nhost = ::1\n[metrics]\nlisten = [::1]:1883\n",
     "4: [metrics] listen: [::1]:1883 is where the broker is, ::1:1883: [mqtt] host (line 2), [mqtt] port (not set)"),
    ("[mqtt]\nhost = 192.0.2.1\n[metrics]\nlisten = 192.0.2.1:1883\n",
     "4: [metrics] listen: 192.0.2.1:1883 is where the broker is, 192.0.2.1:1883: [mqtt] host (line 2), [mqtt] port (not set)"),
])
def test_two_sockets_at_one_port(tmp_path, text, line):
    assert faults(tmp_path, text) == [f"a.ini:{line}; {ONE_PORT}"]


@pytest.mark.parametrize("text", [
    "[listen]\ntcp = 0.0.0.0:9000,[::]:9000\nudp = 0.0.0.0:9000\n", "[listen]\ntcp = 127.0.0.1:9000,127.0.0.2:9000\n",
    "[web]\nlisten = 127.0.0.1:9000\n[metrics]\nlisten = 127.0.0.1:9001\n", "[listen]\nudp = 127.0.0.1:1883\n",
    "[mqtt]\nhost = broker.example\n[listen]\ntcp = 0.0.0.0:1883\n", "[mqtt]\nhost = 127.0.0.1\n[listen]\ntcp = 127.0.0.2:1883\n"])
def test_sockets_that_do_not_meet(tmp_path, text):
    assert check(tmp_path, text)[0] == 0


NEEDS = [
    ("[listen]\ntcp =\nudp =\n", "2: [listen] tcp (line 2), [listen] udp (line 3) and [listen] tls (not set) are all empty; at least one address is "
     "needed, such as tcp = 0.0.0.0:8888"),
    ("[listen]\ntls = 127.0.0.1:9001\ntls_cert_file = public\n", "2: [listen] tls needs tls_cert_file and tls_key_file: [listen] tls_cert_file (line 3), "
     "[listen] tls_key_file (not set)"),
    ("[listen]\nproxy_protocol = 127.0.0.1:9001\n", "2: [listen] proxy_protocol: address 1 of the list stands neither in tcp nor in tls: [listen] tcp "
     "(not set), [listen] tls (not set)"),
    ("[publish]\nformat = msgpack\n[homeassistant]\ndiscovery = yes\n", "4: [homeassistant] discovery needs [publish] format = json: Home Assistant reads "
     "no MessagePack; change [publish] format (line 2)"),
    ("[homeassistant]\ndiscovery = yes\n[publish]\nstate = no\n", "2: [homeassistant] discovery needs [publish] state = auto or yes: all that Home "
     "Assistant shows comes from there; change [publish] state (line 4)"),
    ("[owntracks]\ntopic = owntracks/all\n", "2: [owntracks] topic = owntracks/all is not allowed; allowed: topic levels without + and #, one of them with "
     "{ident}"),
    ("[metrics]\nlisten = 127.0.0.1:9001, 127.0.0.1:9002\n", "2: [metrics] listen takes one address"),
    ("[mqtt]\ntls = yes\ntls_cert_file = public\n", "3: [mqtt] tls_cert_file and tls_key_file go together: set [mqtt] tls_key_file (not set)"),
    ("[mqtt]\ntls_ca_file = a\n", "2: [mqtt] tls_ca_file and tls_cert_file need tls = yes: set [mqtt] tls (not set)"),
    ("[mqtt]\npassword = hunter2\n", "2: [mqtt] a password (password) needs a username: set [mqtt] username"),
    ("[mqtt]\nusername = u\npassword = hunter2\npassword_file = secret\n", "4: [mqtt] password and password_file are both set; only one is allowed"),
    ("[units]\nunknown = reject\n", "2: [units] unknown = reject, and [units] file is empty: no unit can connect; add a section [IDENT] for each unit to a "
     "file, and name the file, or set unknown = accept"),
    ("[units]\nunknown = reject\nfile = nobody\n", "2: [units] unknown = reject, and no unit stands in nobody: no unit can connect; add a section [IDENT] "
     "for each unit, or set unknown = accept"),
    ("[outbox]\nsize = 1M\n[commands]\nallow = engine.stopp\n", "4: [commands] allow: no protocol has a command engine.stopp; did you mean engine.stop? "
     "tracker2mqtt --print-commands shows all"),
    ("[commands]\nallow = foo.bar\n", "2: [commands] allow: no protocol has a command foo.bar; allowed: engine.stop …; tracker2mqtt --print-commands "
     "shows all"),
    ("[commands]\nallow = position.reqest, tset\n", "2: [commands] allow: no protocol has a command position.reqest; did you mean position.request? "
     "tracker2mqtt --print-commands shows all\na.ini:2: [commands] allow: no protocol has a command tset; allowed: …; tracker2mqtt --print-commands shows all"),
]


def with_files(directory):
    for name, text in (("secret", "other\n"), ("empty", ""), ("newline", "\nhunter2\n"), ("nul", "hunter2\0x\n"), ("long", "x" * 511 + "\n"),
                       ("wide", "hunter2\n".encode("utf-16").decode("latin-1")), ("nobody", "; none yet\n"), ("public", "text\n")):
        (directory / name).write_bytes(text.encode("latin-1"))
        (directory / name).chmod(0o600 if name != "public" else 0o644)
    (directory / "directory").mkdir()


@pytest.mark.parametrize("text, line", NEEDS)
def test_options_that_need_each_other(tmp_path, text, line):
    with_files(tmp_path)
    told = faults(tmp_path, text)
    wanted = line.split("\na.ini:")
    assert len(told) == len(wanted)
    for got, pattern in zip(told, wanted):
        assert whole(f"a.ini:{pattern}").fullmatch(got), got


def test_options_of_the_environment_are_named_as_such(tmp_path):
    assert faults(tmp_path, "[web]\nlisten = 127.0.0.1:9000\n", TRACKER2MQTT_LISTEN_TCP="127.0.0.1:9000") == [
        f"a.ini:2: [web] listen: 127.0.0.1:9000 and 127.0.0.1:9000 of [listen] tcp (environment) are one TCP port; {ONE_PORT}"]
    assert faults(tmp_path, "[web]\nlisten = 127.0.0.1:9000\n", TRACKER2MQTT_WEB_LISTEN="0.0.0.0:8888") == [
        f"environment:TRACKER2MQTT_WEB_LISTEN: [web] listen: 0.0.0.0:8888 and 0.0.0.0:8888 of [listen] tcp (not set) are one TCP port; {ONE_PORT}"]


UNREADABLE = [("gone", "No such file or directory"), ("directory", "Is a directory"), ("public/below", "Not a directory")]
FILES = [("mqtt", "tls_ca_file", "[mqtt]\ntls = yes\n"), ("mqtt", "tls_cert_file", "[mqtt]\ntls = yes\ntls_key_file = public\n"),
         ("mqtt", "tls_key_file", "[mqtt]\ntls = yes\ntls_cert_file = public\n"), ("units", "file", "[units]\n"),
         ("listen", "tls_cert_file", "[listen]\ntls = 127.0.0.1:9001\ntls_key_file = public\n"),
         ("listen", "tls_key_file", "[listen]\ntls = 127.0.0.1:9001\ntls_cert_file = public\n"),
         ("web", "tls_cert_file", "[web]\nlisten = 127.0.0.1:9001\ntls_key_file = public\n"),
         ("web", "tls_key_file", "[web]\nlisten = 127.0.0.1:9001\ntls_cert_file = public\n")]


@pytest.mark.parametrize("name, why", UNREADABLE)
@pytest.mark.parametrize("section, key, text", FILES)
def test_files_that_cannot_be_read(tmp_path, section, key, text, name, why):
    with_files(tmp_path)
    line = text.count("\n") + 1
    assert faults(tmp_path, f"{text}{key} = {name}\n") == [
        f"a.ini:{line}: [{section}] {key}: cannot read {name}: {why}; name a file that this user may read, or leave {key} empty"]


@pytest.mark.parametrize("name, why", UNREADABLE + [
    ("nul", "a NUL byte stands in its first line: it must be a text file in UTF-8"),
    ("wide", "a NUL byte stands in its first line: it must be a text file in UTF-8"),
    ("long", "its first line is too long; allowed: 510 bytes")])
def test_a_password_file_that_cannot_be_used(tmp_path, name, why):
    with_files(tmp_path)
    assert faults(tmp_path, f"[mqtt]\nusername = u\npassword_file = {name}\n") == [
        f"a.ini:3: [mqtt] password_file: cannot use {name}: {why}; write the password into the first line of a file that this user may read"]


@pytest.mark.parametrize("name", ["empty", "newline"])
def test_a_password_file_without_a_password(tmp_path, name):
    with_files(tmp_path)
    assert faults(tmp_path, f"[mqtt]\nusername = u\npassword_file = {name}\n") == [
        f"a.ini:3: [mqtt] password_file: the first line of {name} is empty: write the password into it, or leave password_file empty"]


@pytest.mark.parametrize("text", [b"hunter2\n", b"\xef\xbb\xbfhunter2\r\n", b"hunter2", b"x" * 510 + b"\n"])
def test_a_password_file_that_is_right(tmp_path, text):
    (tmp_path / "p").write_bytes(text)
    (tmp_path / "p").chmod(0o600)
    assert check(tmp_path, "[mqtt]\nusername = u\npassword_file = p\n") == (0, ["a.ini: the configuration is fine"])


@pytest.mark.parametrize("name, shown", [("p", "p"), ("a b$c", "'a b$c'")])
def test_secrets_that_everybody_can_read(tmp_path, name, shown):
    def warnings(text, mode):
        for path in (tmp_path / name, tmp_path / "k.key"):
            path.chmod(mode)
        (tmp_path / "a.ini").touch()
        (tmp_path / "a.ini").chmod(mode)
        code, lines = check(tmp_path, text)
        assert code == 0, lines
        return lines[:-1]

    ca = Authority(tmp_path)
    cert, key = ca.issue("k")
    (tmp_path / name).write_text("hunter2\n")
    all_may = "can be read by every user of this machine: chmod o-rwx"
    for text, line in ((f"[mqtt]\nusername = u\npassword_file = {name}\n", f"a.ini:3: warning: [mqtt] password_file: {name} {all_may} {shown}"),
                       ("[mqtt]\nusername = u\npassword = hunter2\n", f"a.ini:3: warning: [mqtt] password stands here, and a.ini {all_may} a.ini"),
                       (f"[listen]\ntls = 127.0.0.1:9001\ntls_cert_file = {cert}\ntls_key_file = {key}\n",
                        f"a.ini:4: warning: [listen] tls_key_file: {key} {all_may} {key}")):
        key_path = tmp_path / key
        key_path.chmod(0o644)
        assert warnings(text, 0o644) == [line]
        key_path.chmod(0o640)
        assert warnings(text, 0o640) == []


def test_certificates_and_keys_that_do_not_go_together(tmp_path):
    ca = Authority(tmp_path)
    cert, key = ca.issue("one")
    _, other = ca.issue("other")
    (tmp_path / "text").write_text("hunter2\n")
    (tmp_path / "text").chmod(0o600)
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "pkey", "-aes256", "-passout", "pass:hunter2", "-in", key, "-out", locked], check=True, capture_output=True)
    cases = [
        (cert, other, 5, f"tls_key_file: private key {other}: key values mismatch: the key does not belong to certificate {cert}; both must be of one pair"),
        (cert, locked, 5, f"tls_key_file: private key {locked}: …: a pass phrase protects it, which the bridge cannot ask for; openssl pkey removes it"),
        (cert, "text", 5, "tls_key_file: private key text: …: the file must hold a private key as PEM (-----BEGIN PRIVATE KEY-----)"),
        ("text", key, 4, "tls_cert_file: certificate text: no start line: the file must hold a certificate as PEM (-----BEGIN CERTIFICATE-----)"),
        (key, cert, 4, f"tls_cert_file: certificate {key}: no start line: the file must hold a certificate as PEM (-----BEGIN CERTIFICATE-----)"),
    ]
    for section, first in (("listen", "tls = 127.0.0.1:9001"), ("web", "listen = 127.0.0.1:9001"), ("mqtt", "tls = yes")):
        for one, two, line, words in cases:
            (told,) = faults(tmp_path, f"; TLS\n[{section}]\n{first}\ntls_cert_file = {one}\ntls_key_file = {two}\n")
            assert whole(f"a.ini:{line}: [{section}] {words}").fullmatch(told), told
        assert check(tmp_path, f"[{section}]\n{first}\ntls_cert_file = {cert}\ntls_key_file = {key}\n")[0] == 0
    assert faults(tmp_path, "[mqtt]\ntls = yes\ntls_ca_file = text\n") == [
        "a.ini:3: [mqtt] tls_ca_file: authorities text: no certificate or crl found: the file must hold certificates as PEM (-----BEGIN CERTIFICATE-----)"]


@pytest.mark.parametrize("text, line", [
    ("[mqtt]\nhots = a\n", "2: unknown option hots in [mqtt]; did you mean host?"),
    ("[mqtt]\nHOST = a\n", "2: unknown option HOST in [mqtt]; did you mean host?"),
    ("[mqtt]\nuser = a\n", "2: unknown option user in [mqtt]; did you mean username?"),
    ("[mqtt]\nca_file = a\n", "2: unknown option ca_file in [mqtt]; did you mean tls_ca_file?"),
    ("[mqtt]\ncolour = blue\n", "2: unknown option colour in [mqtt]; allowed: host port version …"),
    ("[mqtt]\nprefix = a\n", "2: unknown option prefix in [mqtt]; one of this name stands in [publish], [homeassistant]; allowed: host …"),
    ("[mqt]\nhost = a\n", "2: unknown section [mqt]; did you mean [mqtt]?"), ("[MQTT]\nhost = a\n", "2: unknown section [MQTT]; did you mean [mqtt]?"),
    ("[ mqtt ]\nhost = a\n", "2: unknown section [ mqtt ]; did you mean [mqtt]?"), ("[unit]\nfile = a\n", "2: unknown section [unit]; did you mean [units]?"),
    ("[nothing]\nhost = a\n", f"2: unknown section [nothing]; allowed: {SECTIONS[0]} … {SECTIONS[1]}"),
    ("host = a\n", "1: an option must stand in a section; one of this name stands in [mqtt]"),
    ("colour = a\n", f"1: an option must stand in a section; allowed: {SECTIONS[0]} … {SECTIONS[1]}"),
    ("[mqtt]\nhost = 192.168.1.300\n", "2: host = 192.168.1.300 is not allowed: 192.168.1.300 is no IPv4 address: that has four numbers from 0 to 255; "
     "allowed: a name or address"),
    ("[mqtt]\nhost = 192.168.1\n", "2: host = 192.168.1 is not allowed: 192.168.1 is no IPv4 address: that has four numbers from 0 to 255; allowed: a name or "
     "address"),
    ("[mqtt]\nhost = my broker\n", "2: host = my broker is not allowed; allowed: one name or address alone"),
    ("[mqtt]\nhost = broker..example\n", "2: host = broker..example is not allowed: broker..example is no name: nothing stands between two dots; allowed: a "
     "name or address"),
    ("[mqtt]\nhost = fe80::12345\n", "2: host = fe80::12345 is not allowed: fe80::12345 is no IPv6 address…; allowed: a name or address"),
    ("[mqtt]\nhost = br\u00f6ker\n", "2: host = br\u00f6ker is not allowed: br\u00f6ker is no name: write the form of it in ASCII (xn--...); allowed: a name or address"),
    ("[mqtt]\nhost = bro*ker\n", "2: host = bro*ker is not allowed: bro*ker is no name: letters, digits, . - and _ make a name; allowed: a name or address"),
    ("[relay]\nserver = http://p.example:80\n", "2: server = http://p.example:80 is not allowed: it has a scheme, which is not spoken here; allowed: host:port, "
     "such as p.example:8090"),
    ("[relay]\nserver = p.example\n", "2: server = p.example is not allowed: it has no port; allowed: host:port, such as p.example:8090"),
    ("[relay]\nserver = p.example:0\n", "2: server = p.example:0 is not allowed: it has a port that is no number from 1 to 65535; allowed: host:port, such as "
     "p.example:8090"),
    ("[relay]\nserver = p.example:70000\n", "2: server = p.example:70000 is not allowed: it has a port that is no number from 1 to 65535; allowed: host:port, "
     "such as p.example:8090"),
    ("[relay]\nserver = 2001:db8::1\n", "2: server = 2001:db8::1 is not allowed: it has no brackets and port; allowed: host:port, such as platform.example:8090"),
    ("[relay]\nserver = p example:1\n", "2: server = p example:1 is not allowed: it is no name: letters, digits, . - and _ make a name; allowed: host:port, such "
     "as p:8090"),
    ("[listen]\ntcp = 0.0.0.0\n", f"2: tcp = 0.0.0.0 is not allowed: 0.0.0.0 has no port: 0.0.0.0:PORT; {ENDPOINTS}"),
    ("[listen]\ntcp = 8888\n", f"2: tcp = 8888 is not allowed: 8888 has no address: 0.0.0.0:8888 is every address of this machine; {ENDPOINTS}"),
    ("[listen]\nudp = :8888\n", f"2: udp = :8888 is not allowed: :8888 has no address: 0.0.0.0:8888 is every address of this machine; {ENDPOINTS}"),
    ("[listen]\nudp = *:8888\n", f"2: udp = *:8888 is not allowed: *:8888 has no address: 0.0.0.0:8888 is every address of this machine; {ENDPOINTS}"),
    ("[web]\nlisten = ::1:8880\n", f"2: listen = ::1:8880 is not allowed: ::1:8880 has no brackets: [::1]:8880; {ENDPOINTS}"),
    ("[web]\nlisten = 127.0.0.1:0\n", f"2: listen = 127.0.0.1:0 is not allowed: 127.0.0.1:0 has a port that is no number from 1 to 65535; {ENDPOINTS}"),
    ("[metrics]\nlisten = 127.0.0.1:70000\n", f"2: listen = 127.0.0.1:70000 is not allowed: 127.0.0.1:70000 has a port that is no number from 1 to 65535; "
     f"{ENDPOINTS}"),
    ("[metrics]\nlisten = http://127.0.0.1:9888\n", f"2: listen = http://127.0.0.1:9888 is not allowed: http://127.0.0.1:9888 has a scheme, and only an address "
     f"and a port are meant; {ENDPOINTS}"),
    ("[listen]\ntcp = localhost:8888\n", f"2: tcp = localhost:8888 is not allowed: localhost:8888 is a name, where a numeric address must stand; {ENDPOINTS}"),
    ("[listen]\ntcp = 0.0.0.0:9001 0.0.0.0:9002\n", f"2: tcp = 0.0.0.0:9001 0.0.0.0:9002 is not allowed: a comma must stand between two addresses; {ENDPOINTS}"),
    ("[mqtt]\nkeepalive = 10\n", f"2: keepalive = 10 is not allowed: its unit is missing; allowed: a duration from 5s to 1h {WITH_A_UNIT}"),
    ("[mqtt]\nkeepalive = 1h30\n", f"2: keepalive = 1h30 is not allowed: it must be one number with one unit; allowed: a duration from 5s to 1h {WITH_A_UNIT}"),
    ("[mqtt]\nkeepalive = 10 m\n", f"2: keepalive = 10 m is not allowed: no blank may stand between number and unit; allowed: a duration from 5s to 1h "
     f"{WITH_A_UNIT}"),
    ("[mqtt]\nkeepalive = 10min\n", f"2: keepalive = 10min is not allowed: there is no unit min; allowed: a duration from 5s to 1h {WITH_A_UNIT}"),
    ("[mqtt]\nkeepalive = -10s\n", f"2: keepalive = -10s is not allowed: it must not be negative; allowed: a duration from 5s to 1h {WITH_A_UNIT}"),
    ("[mqtt]\nkeepalive = 2h\n", f"2: keepalive = 2h is not allowed; allowed: a duration from 5s to 1h {WITH_A_UNIT}"),
    ("[mqtt]\nport = 0x75b\n", "2: port = 0x75b is not allowed: only decimal numbers are read; allowed: a whole number from 1 to 65535"),
    ("[mqtt]\nport = 1883.0\n", "2: port = 1883.0 is not allowed: only whole numbers are read; allowed: a whole number from 1 to 65535"),
    ("[mqtt]\nport =\n", "2: port =  is not allowed: nothing stands behind =; allowed: a whole number from 1 to 65535"),
    ("[mqtt]\nport = mqtt\n", "2: port = mqtt is not allowed: it must begin with a digit; allowed: a whole number from 1 to 65535"),
    ("[mqtt]\nport = 99999999999999999999\n", "2: port = 99999999999999999999 is not allowed; allowed: a whole number from 1 to 65535"),
    ("[outbox]\nsize = 1GB\n", "2: size = 1GB is not allowed: there is no unit GB; allowed: a size from 1M to 1024G, in bytes or with K M G"),
    ("[outbox]\nsize = 9223372036854775807G\n", "2: size = 9223372036854775807G is not allowed; allowed: a size from 1M to 1024G, in bytes or with K M G"),
    (b"[publish]\nprefix = M\xfcller\n", "2: prefix = M\\xfcller is not allowed: it is not UTF-8; save the file as UTF-8; allowed: topic levels without + and "
     "#, not beginning with / or $, 1 to 100 characters"),
    ("[mqtt]\nport = 1\n[log]\nlevel = info\n[mqtt]\nport = 2\n", "6: port is set twice; line 2 has it already: leave one of them"),
])
def test_what_a_line_says(tmp_path, text, line):
    (told,) = faults(tmp_path, text)
    assert whole(f"a.ini:{line}").fullmatch(told), told


def test_a_file_that_is_no_text_as_it_should_be(tmp_path):
    utf16 = "a.ini:1: the file is in UTF-16; save it as UTF-8 (Notepad: Save as, Encoding: UTF-8)"
    for encoding in ("utf-16", "utf-16-le", "utf-16-be"):
        assert faults(tmp_path, "[mqtt]\r\nport = 1884\r\n".encode(encoding)) == [utf16]
    assert faults(tmp_path, b"[mqtt]\rport = 1884\r") == ["a.ini:1: a carriage return within a line; lines must end as on Linux or Windows"]
    assert faults(tmp_path, b"[mqtt]\nport = 18\x0084\n") == ["a.ini:2: a NUL byte is not allowed; this must be a text file"]
    assert faults(tmp_path, b"[mqtt] port = 1884\n") == ["a.ini:1: something stands behind the section in its line; an option needs a line of its own"]
    assert check(tmp_path, b"\xef\xbb\xbf[mqtt] ; the broker\r\nport = 1884\r\n") == (0, ["a.ini: the configuration is fine"])
    assert check(tmp_path, b"[log]\nlevel = info") == (0, ["a.ini: the configuration is fine"])
    assert check(tmp_path, b"") == (0, ["a.ini: notice: no option is set there; the defaults are used", "a.ini: the configuration is fine"])
    for name, why in (("gone.ini", "No such file or directory"), (".", "Is a directory")):
        done = subprocess.run([PROGRAM, "-t", "-c", name], cwd=tmp_path, capture_output=True, text=True, timeout=30, env=PLAIN)
        assert done.returncode == 1 and done.stderr.splitlines()[0] == f"{name}: cannot be read: {why}; name a file that this user may read"


@pytest.mark.parametrize("text, line", [
    ("[1]\nnaem = a\n", "2: unknown key naem; did you mean name?"), ("[1]\npassword = hunter2\n", "2: unknown key password; allowed: the keys name, id, …"),
    ("[1]\nname = a\nname = b\n", "3: name is set twice for this unit"),
    (b"[1]\nname = M\xfcller\n", "2: name = M\\xfcller is not allowed; allowed: a text of 1 to … characters (it is not UTF-8; save the file as UTF-8)"),
    ("[1]\nid = x\n", "2: id = x is not allowed; allowed: a whole number from 0 to 4294967295 (it must begin with a digit)"),
    ("[1]\nname hunter2 = a\n", "2: not understood: a key has no blanks; allowed: [section], key = value, # comment"),
    ("[1]\n".encode("utf-16"), "1: the file is in UTF-16; save it as UTF-8 (Notepad: Save as, Encoding: UTF-8)")])
def test_what_a_line_says_of_the_units_file(tmp_path, text, line):
    (tmp_path / "units.ini").write_bytes(text if isinstance(text, bytes) else text.encode())
    (told,) = faults(tmp_path, "[units]\nfile = units.ini\n")
    assert whole(f"units.ini:{line}").fullmatch(told), told


@pytest.mark.parametrize("name, words", [
    ("TRACKER2MQTT_HOST", "did you mean TRACKER2MQTT_MQTT_HOST?"), ("TRACKER2MQTT_PASSWORD", "did you mean TRACKER2MQTT_MQTT_PASSWORD?"),
    ("TRACKER2MQTT_MQTT_HOTS", "did you mean TRACKER2MQTT_MQTT_HOST?"), ("TRACKER2MQTT_MQT_HOST", "did you mean TRACKER2MQTT_MQTT_HOST?"),
    ("TRACKER2MQTT_MQTTPASSWORD", "did you mean TRACKER2MQTT_MQTT_PASSWORD?"), ("tracker2mqtt_mqtt_host", "did you mean TRACKER2MQTT_MQTT_HOST?"),
    ("TRACKER2MQTT_PREFIX", "did you mean TRACKER2MQTT_PUBLISH_PREFIX or TRACKER2MQTT_HOMEASSISTANT_PREFIX?"),
    ("TRACKER2MQTT_LISTEN", "allowed: TRACKER2MQTT_LISTEN_<KEY>"),
    ("TRACKER2MQTT_COLOUR", "allowed: TRACKER2MQTT_<SECTION>_<KEY> as in the file, such as TRACKER2MQTT_MQTT_HOST; tracker2mqtt --help lists all")])
def test_a_variable_that_is_no_option(tmp_path, name, words):
    assert faults(tmp_path, "[log]\nlevel = info\n", **{name: "hunter2"}) == [f"environment:{name}: no such option; {words}"]


def test_variables_that_containers_make(tmp_path):
    made = {"TRACKER2MQTT_PORT": "tcp://10.0.0.1:8888", "TRACKER2MQTT_SERVICE_HOST": "10.0.0.1", "TRACKER2MQTT_SERVICE_PORT_TRACKERS": "8888",
            "TRACKER2MQTT_PORT_8888_TCP_ADDR": "10.0.0.1", "TRACKER2MQTT_NAME": "/nodered/tracker2mqtt", "TRACKER2MQTT_ENV_LANG": "C"}
    assert check(tmp_path, "[log]\nlevel = info\n", **made) == (0, ["a.ini: the configuration is fine"])


@pytest.mark.parametrize("text", [
    "[mqtt]\npasword = hunter2\n", "[mqtt]\nPASSWORD = hunter2\n", "[mqtt]\npassword hunter2\n", "[mqtt]\npassword: hunter2\n", "[mqtt]\npassword hunter2 = x\n",
    "[mqtt]\npassword hunter2=abc\n", "[units]\npassword = hunter2\n", "password = hunter2\n", "[mqtt]\n[password = hunter2\n", "[mqtt] password = hunter2\n",
    "[mqtt]\n password = hunter2\n", "[mqtt]\npassword = hunter2" + "x" * 200 + "\n", "[mqtt]\npassword = a\npassword = hunter2\n",
    "[mqtt]\npassword = hunter2 ; mine\n", "[mqtt]\nusername = u\npassword = hunter2\nport = x\n", "[mqtt]\nhost = broker password=hunter2\n",
    "[mqtt]\nhost = me:hunter2@broker\n", "[mqtt]\nhost = 'mqtt://me:hunter2@broker'\n", "[relay]\nserver = http://me:hunter2@p.example:80\n",
    "[relay]\nserver = me:hunter2@p.example:80\n", "[relay]\nserver = \"me:hunter2@p.example:80\"\n", "[web]\nmqtt = \"wss://me:hunter2@broker/mqtt\"\n",
    "[web]\nlisten = http://me:hunter2@127.0.0.1:80\n", "[listen]\ntcp = me:hunter2@127.0.0.1:80\n", "[mqtt]\nport = 1883 password=hunter2\n",
    "[log]\nlevel = info password: hunter2\n", "[listen]\ntcp = password:hunter2\n", "[mqtt]\nkeepalive = 10password=hunter2\n",
    "[relay]\nserver = password=hunter2:80\n", "[mqtt]\nhost = password=hunter2\n", "[mqtt]\npassword = hunter2\0\n", "[mqtt]\nclient_id = 'a password = hunter2'\n",
    "[mqtt]\rpassword = hunter2\r"])
def test_no_secret_is_shown(tmp_path, text):
    code, lines = check(tmp_path, text)
    assert code == 1 and any(re.match(r"a\.ini:\d+: ", line) for line in lines), lines
    assert not any("hunter2" in line for line in lines), lines


# What shows the rows of the page, one each.
ROWS = ["[mqtt]\nhots = a\n", "[mqt]\nhost = a\n", "; x\n; y\nhost = a\n", "[mqtt]\nport = 1\nport = 2\n", "[mqtt]\n; x\npassword hunter2\n",
        "[mqtt]\n".encode("utf-16"), {"TRACKER2MQTT_HOST": "a"}, "[mqtt]\nkeepalive = 10\n", "[mqtt]\nhost = 192.168.1.300\n", "[listen]\ntcp = ::1:8888\n",
        "[relay]\nserver = http://p.example:80\n", "[web]\nlisten = 127.0.0.1:8888\n", "[listen]\ntcp = 0.0.0.0:1883\n",
        "[mqtt]\nusername = u\npassword_file = gone\n", "[mqtt]\nusername = u\npassword_file = empty\n", "[mqtt]\nusername = u\npassword_file = public\n",
        "[units]\nfile = units.ini\n", "[listen]\ntls = 127.0.0.1:1\ntls_cert_file = b.pem\ntls_key_file = a.key\n",
        "[listen]\ntls = 127.0.0.1:1\ntls_cert_file = public\ntls_key_file = a.key\n", "[commands]\nallow = engine.stopp\n",
        "[units]\nunknown = reject\nfile = nobody\n", "[outbox]\npath = public/outbox\n", None]


def test_the_page_quotes_what_is_told(tmp_path):
    """Each row of the table in trouble.md, but for what names its own files and numbers."""
    with_files(tmp_path)
    ca = Authority(tmp_path)
    ca.issue("a")
    ca.issue("b")
    section = (ROOT / "etc/doc/trouble.md").read_text().split("## The check finds a fault\n")[1].split("\n## ")[0]
    quoted = [re.match(r"\| `([^`]*)`", line)[1] for line in section.splitlines() if line.startswith("| `")]
    assert len(quoted) == len(ROWS)
    for line, row in zip(quoted, ROWS):
        if row is None:  # a matter of the machine: test_config plays it
            assert "this process has no address space for it" in line
            continue
        told = check(tmp_path, "" if isinstance(row, dict) else row, **(row if isinstance(row, dict) else {}))[1]
        if isinstance(row, str) and "[outbox]" in row:
            (tmp_path / "a.ini").write_text(row)
            told = subprocess.run([PROGRAM, "-t", "-c", "a.ini"], cwd=tmp_path, capture_output=True, text=True, env=PLAIN, timeout=30).stderr.splitlines()
        line = re.sub(r"my\.ini:\d", "…", line)
        for name, here in (("/etc/bridge/password", "…"), ("a.pem", "public"), ("a.key", "…"), ("b.pem", "…"), ("units.ini", "…"), ("/srv/outbox", "…"),
                           ("/srv: Permission denied", "…")):
            line = line.replace(name, here)
        assert any(whole(line).fullmatch(one) for one in told), (line, told)


# What a reload must refuse: a file, or text that is added to a good one.
RELOADS = [
    "[log]\nlevel = loud\n", "[mqtt]\nhots = a\n", "[mqt]\nhost = a\n", "[commands]\nallow = foo.bar\n", "[relay]\nserver = http://p.example:80\n",
    "[metrics]\nlisten = 127.0.0.1:{port}\n", "[homeassistant]\ndiscovery = yes\n[publish]\nformat = msgpack\n", "[mqtt]\nusername = u\npassword_file = gone\n",
    "[mqtt]\nusername = u\npassword_file = empty\n", "[mqtt]\ntls = yes\ntls_ca_file = gone\n", "[web]\nlisten = 127.0.0.1:1\ntls_cert_file = gone\n"
    "tls_key_file = gone\n", "[units]\nfile = gone\n", "[outbox]\npath = /dev/null/outbox\n", "[limits]\nunits = 0x10\n", "not understood\n",
    b"[log]\xff\xfe\0\n", b"[log]\rlevel = info\r", None]


@pytest.mark.parametrize("text", RELOADS)
def test_a_reload_of_a_file_with_a_fault_changes_nothing(make_bridge, subscribe, tmp_path, text):
    (tmp_path / "empty").write_text("\n")
    bridge = make_bridge({"h02": {"ack": "r12"}})
    bridge.wait_connected()
    sub = subscribe()
    unit = Unit(bridge.port)
    unit.send(v1("9170503816", "000001"))
    assert b",R12," in unit.receive()
    good = bridge.path.read_bytes().replace(b"ack = r12", b"ack = v4")
    if text is None:
        bridge.path.unlink()
    else:
        text = text if isinstance(text, bytes) else text.replace("{port}", str(bridge.port)).replace(" = gone", f" = {tmp_path}/gone").replace(
            " = empty", f" = {tmp_path}/empty").encode()
        sections = set(re.findall(rb"^\[\w+\]$", text, re.M))
        kept = [part for part in re.split(rb"(?m)^(?=\[)", good) if b"[outbox]" not in sections or not part.startswith(b"[outbox]")]
        if b"[units]" in sections or b"[publish]" in sections:
            kept = [part for part in kept if not part.startswith((b"[units]", b"[publish]"))]
        bridge.path.write_bytes(b"".join(kept) + text)
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "nothing is changed" in bridge.log(), "the refusal")
    assert re.search(rf"(?m)^{re.escape(str(bridge.path))}(:\d+)?: (?!notice|warning).", bridge.log()), bridge.log()
    assert "reloaded" not in bridge.log() and "h02] ack changed" not in bridge.log()
    unit.send(v1("9170503816", "000002"))
    assert b",R12," in unit.receive()
    assert len(sub.on("trackers/9170503816/position", 2)) == 2
    bridge.path.write_bytes(good)
    bridge.process.send_signal(signal.SIGHUP)
    wait_for(lambda: "reloaded" in bridge.log(), "the reload")
    unit.send(v1("9170503816", "000003"))
    assert b",V4,V1," in unit.receive()
    unit.close()
