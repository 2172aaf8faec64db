"""Makes files empty, appends to each twice and reads in between: PREFIX ROUNDS. Says which were read wrong."""

import sys

for round in range(int(sys.argv[2])):
    path = f"{sys.argv[1]}{round}"
    open(path, "w").close()
    for text in "a", "b":
        with open(path, "a") as file:
            file.write(text)
        if text == "a" and open(path).read() != "a":
            print(path)
