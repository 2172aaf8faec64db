"""Writes or checks a database: `write` or `check`, PATH."""

import contextlib
import sqlite3
import sys

ROWS = 1_000

what, path = sys.argv[1:]


def rows(first, last):
    return [(number, f"row {number} " * 20) for number in range(first, last)]


if what == "write":
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("create table things (number integer primary key, text text)")
        database.executemany("insert into things values (?, ?)", rows(0, ROWS - 20))
        database.commit()
    # Opened again, and a transaction for each row.
    with contextlib.closing(sqlite3.connect(path)) as database:
        for row in rows(ROWS - 20, ROWS):
            database.execute("insert into things values (?, ?)", row)
            database.commit()
else:
    with contextlib.closing(sqlite3.connect(path)) as database:
        found = database.execute("select number, text from things order by number").fetchall()
        assert found == rows(0, ROWS), f"{len(found)} rows"
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
    print("right")
