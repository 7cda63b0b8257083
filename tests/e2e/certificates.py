"""A private authority and certificates of all kinds, made with openssl."""

import subprocess

NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]


def run(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True, timeout=60)


class Authority:
    def __init__(self, directory, name="ca"):
        self.directory = directory
        self.pem, self.key = directory / f"{name}.pem", directory / f"{name}.key"
        run("req", "-x509", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.pem, "-days", 30)

    def issue(self, name, names="IP:127.0.0.1,DNS:localhost", days=30):
        """(certificate, key) for these names; a negative number of days has expired."""
        pem, key, request = (self.directory / f"{name}.{end}" for end in ("pem", "key", "csr"))
        run("req", *NEW_KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request,
            "-addext", f"subjectAltName={names}")
        run("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", days,
            "-copy_extensions", "copy", "-out", pem)
        return pem, key
