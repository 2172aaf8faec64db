"""Writes or checks an archive: `write` or `check`, PATH."""

import random
import sys
import zipfile

MEMBER_BYTES = 9_000_000

what, path = sys.argv[1:]
members = {f"member{seed}": random.Random(seed).randbytes(MEMBER_BYTES) for seed in range(3)}
if what == "write":
    # Each member's header is written anew when its size is known: zipfile goes back for it.
    with zipfile.ZipFile(path, "w") as archive:
        for name, body in members.items():
            with archive.open(name, "w") as member:
                member.write(body)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("text", "text " * 100_000)
else:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None, archive.testzip()
        for name, body in members.items():
            assert archive.read(name) == body, name
        assert archive.read("text") == b"text " * 100_000, "text"
    print("right")
