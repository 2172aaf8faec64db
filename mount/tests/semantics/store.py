"""Stores bytes into a shared mapping of a file: PATH OFFSET BYTES. Ends with the error number, if there is one."""

import mmap
import os
import sys

path, offset, data = sys.argv[1], int(sys.argv[2]), os.fsencode(sys.argv[3])
try:
    file = os.open(path, os.O_RDWR)
    mapping = mmap.mmap(file, 0)
    mapping[offset : offset + len(data)] = data
    mapping.close()
    os.close(file)
except OSError as error:
    sys.exit(error.errno)
