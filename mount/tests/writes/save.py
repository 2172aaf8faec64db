"""Saves a file as a user of a library does, or checks what was saved: write|check LIBRARY PATH."""

import sys

verb, library, path = sys.argv[1:]
ROWS, COLUMNS = 3_000, 500  # 12 MB of doubles: more than a part of an upload


def numbers():
    import numpy

    return numpy.arange(ROWS * COLUMNS, dtype="f8").reshape(ROWS, COLUMNS)


def savez(writes):
    import numpy

    if writes:
        with open(path, "wb") as file:  # by a path it would add .npz
            numpy.savez(file, first=numbers(), second=numbers()[:3] + 1)
        return True
    saved = numpy.load(path)
    return (saved["first"] == numbers()).all() and (saved["second"] == numbers()[:3] + 1).all()


def memmap(writes):
    import numpy

    if writes:
        array = numpy.memmap(path, dtype="f8", mode="w+", shape=(ROWS, COLUMNS))
        array[:] = numbers()
        array.flush()
        array[0, 0] = 77  # by the unmapping alone
        return True
    array = numpy.memmap(path, dtype="f8", mode="r", shape=(ROWS, COLUMNS))
    return array[0, 0] == 77 and (array[1:] == numbers()[1:]).all()


def h5py(writes):
    import h5py

    if writes:
        with h5py.File(path, "a") as file:
            for name in list(file):
                del file[name]
            file["first"] = numbers()
        with h5py.File(path, "a") as file:
            file["second"] = numbers()[:3]
            file["first"][0, 0] = 77
        return True
    with h5py.File(path, "r") as file:
        first, second = file["first"][:], file["second"][:]
    return first[0, 0] == 77 and (first[1:] == numbers()[1:]).all() and (second == numbers()[:3]).all()


def openpyxl(writes):
    import openpyxl

    if writes:
        workbook = openpyxl.Workbook()
        for row in range(1_000):
            workbook.active.append([row, f"row {row}"])
        workbook.save(path)
        with open(path, "rb") as file:  # by a path it wants .xlsx
            workbook = openpyxl.load_workbook(file)
        workbook.active["A1"] = 77
        workbook.save(path)
        return True
    with open(path, "rb") as file:
        rows = list(openpyxl.load_workbook(file).active.values)
    return rows[0] == (77, "row 0") and rows[1:] == [(row, f"row {row}") for row in range(1, 1_000)]


right = globals()[library](verb == "write")
if verb == "check":
    print("right" if right else "wrong")
