"""Counts the words of a text and prints those that stand there most often, for a recording of Python at work."""

import posix

counts: dict[str, int] = {}
with open("build/text", encoding="utf-8") as file:
    for word in file.read(8000).split():
        counts[word] = counts.get(word, 0) + 1
print(*sorted(counts, key=counts.get)[-9:], flush=True)
posix._exit(0)  # what Python tears down at its end would be most of the rows
