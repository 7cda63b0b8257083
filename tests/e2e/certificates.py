# SPDX-License-Identifier: MIT
"""A private authority and certificates of all kinds, made with openssl: such as strict programs take (RFC 5280)."""

import subprocess

NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
LEAF = """basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth,clientAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
subjectAltName="""


def run(*args, before=()):
    subprocess.run([*before, "openssl", *map(str, args)], check=True, capture_output=True, timeout=60)


class Authority:
    def __init__(self, directory, name="ca"):
        self.directory = directory
        self.pem, self.key = directory / f"{name}.pem", directory / f"{name}.key"
        run("req", "-x509", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.pem, "-days", 30,
            "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def issue(self, name, names="IP:127.0.0.1,DNS:localhost", expired=False):
        """(certificate, key) for these names. One that has expired was issued earlier: openssl takes no negative days any more."""
        pem, key, request, extensions = (self.directory / f"{name}.{end}" for end in ("pem", "key", "csr", "ext"))
        extensions.write_text(f"{LEAF}{names}\n")
        run("req", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        run("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial",
            "-days", 1 if expired else 30, "-extfile", extensions, "-out", pem, before=("faketime", "-f", "-3d") if expired else ())
        return pem, key
