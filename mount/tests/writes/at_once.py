"""Processes that write one file at the same time: PATH PROCESSES TIMES. Says which of them failed."""

import os
import sys

path, processes, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
waiting, go = os.pipe()
children = []
for number in range(processes):
    child = os.fork()
    if child == 0:
        os.close(go)
        # Ends when the parent closes its end: all begin at once.
        os.read(waiting, 1)
        try:
            with open(path, "w") as file:
                file.write(f"{number:04}" * times)
        except OSError as error:
            print(number, error, flush=True)
        os._exit(0)
    children.append(child)
os.close(go)
for child in children:
    _, status = os.waitpid(child, 0)
    if status != 0:
        print(child, "ended with", status)
