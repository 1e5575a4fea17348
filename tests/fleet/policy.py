"""The hashes in the fleet page's Content-Security-Policy: the only style and script that may run are those in the file.

    policy.py            fails when they are not those of the file
    policy.py --write    puts them there
"""

import base64
import hashlib
import pathlib
import re
import sys

PAGE = pathlib.Path(__file__).resolve().parents[2] / "systemd" / "fleet" / "fleet.html"


def with_hashes(page):
    for name, rule in (("style", "style-src"), ("script", "script-src")):
        [inside] = re.findall(rf"<{name}>(.*?)</{name}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        page = re.sub(rf"{rule} 'sha256-[^']*'", f"{rule} 'sha256-{digest}'", page, count=1)
    return page


def main():
    page = PAGE.read_text(encoding="utf-8")
    right = with_hashes(page)
    if "--write" in sys.argv[1:]:
        PAGE.write_text(right, encoding="utf-8")
    elif page != right:
        sys.exit("policy: the hashes in systemd/fleet/fleet.html are not those of its style and script: policy.py --write")


if __name__ == "__main__":
    main()
