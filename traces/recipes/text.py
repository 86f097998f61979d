"""Writes BYTES bytes of text to compress: words of a made-up vocabulary, as frequent as Zipf's law has them, in lines
and paragraphs, with a table of numbers here and there. The same bytes on every machine (fixed seed).

    python3 text.py BYTES > FILE
"""

import random
import sys

SEED = 2004_10_12
WORDS = 4000
_SYLLABLES = "an ber cu del em fi gor ha in jo ka lum mer no or pa qui ra so tem un vi wex ya zo"
SYLLABLES = _SYLLABLES.split()


def word(rng: random.Random) -> str:
    return "".join(SYLLABLES[rng.getrandbits(16) % len(SYLLABLES)] for _ in range(1 + rng.getrandbits(2)))


def word_index(rng: random.Random) -> int:
    """Rank r with a probability of about 1/r."""
    return int(WORDS ** rng.random()) % WORDS


def paragraph(rng: random.Random, words: list[str]) -> str:
    if rng.getrandbits(3) == 0:  # a table
        rows = [[rng.getrandbits(4 + 4 * column) for column in range(5)] for _ in range(4 + rng.getrandbits(3))]
        return "\n".join("\t".join(f"{value:d}" for value in row) for row in rows)
    lines, line = [], ""
    for _ in range(40 + rng.getrandbits(6)):
        word = words[word_index(rng)]
        if len(line) + len(word) > 76:
            lines.append(line)
            line = ""
        line += (" " if line else "") + word + (rng.getrandbits(4) == 0) * ","
    return "\n".join([*lines, line + "."])


def main() -> None:
    rng = random.Random(SEED)
    words, left = [word(rng) for _ in range(WORDS)], int(sys.argv[1])
    while left > 0:
        text = (paragraph(rng, words) + "\n\n")[:left]
        sys.stdout.write(text)
        left -= len(text)


main()
