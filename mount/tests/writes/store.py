"""Stores into a shared mapping of a file: `close` or `unmap`, whichever comes first; PATH OFFSET..."""

import ctypes
import mmap
import os
import sys

first, path, offsets = sys.argv[1], sys.argv[2], sys.argv[3:]
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]

file = os.open(path, os.O_RDWR)
length = os.fstat(file).st_size
address = libc.mmap(None, length, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, file, 0)
if address == ctypes.c_void_p(-1).value:
    sys.exit("mmap: " + os.strerror(ctypes.get_errno()))
if first == "close":
    os.close(file)
for offset in offsets:
    ctypes.memmove(address + int(offset), b"HELLO", 5)
if libc.munmap(address, length) != 0:
    sys.exit("munmap: " + os.strerror(ctypes.get_errno()))
if first == "unmap":
    os.close(file)
