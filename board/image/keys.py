"""Who signs bundles. A builder's own key comes by PICKET_SIGN_CERT and PICKET_SIGN_KEY; without them a key for development is made."""
import os
from pathlib import Path

import debs

DAYS = "7300"


def get(folder):
    """(certificate, key, whether they are for development). The certificate is what boxes trust, too: keep the key off line."""
    named = [os.environ.get(name) for name in ("PICKET_SIGN_CERT", "PICKET_SIGN_KEY")]
    if all(named):
        cert, key = map(Path, named)
        for file in (cert, key):
            if not file.is_file():
                raise debs.Failed(f"{file}: there is no such file (PICKET_SIGN_CERT, PICKET_SIGN_KEY)")
        return cert, key, False
    if any(named):
        raise debs.Failed("PICKET_SIGN_CERT and PICKET_SIGN_KEY belong together: one of them is missing")
    cert, key = make(folder, "development")
    return cert, key, True


def make(folder, name):
    """A self-signed pair in `folder`, kept from one build to the next."""
    folder.mkdir(parents=True, exist_ok=True)
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    if not (cert.is_file() and key.is_file()):
        before = os.umask(0o077)
        debs.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", key, "-out", cert, "-days", DAYS,
                 "-subj", f"/O=Picket {name}/CN=Picket {name} bundles")
        os.umask(before)
    return cert, key
