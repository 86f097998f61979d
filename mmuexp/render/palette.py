"""The colours of pages and charts: one name each, a value on a light ground and one on a dark.

The hues are those of Okabe and Ito (2008), which the colour-blind tell apart, made darker on the light ground until
they stand out 3 to 1. No chart tells by colour alone: lines have dashes and shapes, bars have words.
A chart's specification says `var(--c1)`; a page sets these as CSS variables, a file gets the light values.
"""

import re

COLOURS = {  # name -> (light, dark)
    "paper": ("#ffffff", "#15181c"),
    "panel": ("#f6f7f9", "#1d2127"),
    "ink": ("#1b1f24", "#e6e8eb"),
    "muted": ("#59616b", "#a3abb5"),
    "rule": ("#d9dde3", "#343a43"),
    "grid": ("#e8ebef", "#2a3038"),
    "accent": ("#00609a", "#6cbcf0"),
    "best": ("#e6f3ec", "#14362a"),
    "warn": ("#9a4300", "#f2a36b"),
    "c1": ("#0072b2", "#56b4e9"),
    "c2": ("#c95700", "#f08c3e"),
    "c3": ("#00805d", "#2fc99b"),
    "c4": ("#a8508a", "#df93c0"),
    "c5": ("#8a6d00", "#f0e442"),
    "c6": ("#4a4f57", "#c3c8cf"),
    "c7": ("#5b4bb5", "#a99cf5"),
    "c8": ("#7a3e1d", "#c99777"),
    "part1": ("#08507d", "#2f88bd"),
    "part2": ("#4a9cc9", "#7fc3ec"),
    "part3": ("#a9cfe4", "#c5e2f5"),
    "part4": ("#d55e00", "#ef8a3c"),
}
SERIES = [f"c{at}" for at in range(1, 9)]
PARTS = ["part1", "part2", "part3", "part4"]
DASHES = [[1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [12, 4], [4, 2], [1, 3], [7, 2, 2, 2, 2, 2]]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left"]
SCHEMES = ["softmmu", "byte-lookup", "map-block", "qemu-fast"]  # have the same colour in every chart


def var(name: str) -> str:
    return f"var(--{name})"


def plain(text: str, *, dark: bool = False) -> str:
    """`text` with each var(--name) replaced by its colour, for a file that knows no CSS variables."""
    return re.sub(r"var\(--(\w+)\)", lambda found: COLOURS[found[1]][dark], text)


def css() -> str:
    """The variables of both grounds; `data-theme` on the root beats what the system prefers, and paper is light."""
    light, dark = ("".join(f"--{name}:{pair[at]};" for name, pair in COLOURS.items()) for at in (0, 1))
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root{{color-scheme:dark;{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{color-scheme:dark;{dark}}}\n"
        f":root[data-theme=light]{{color-scheme:light;{light}}}}}\n"
    )


def slots(names: list[str]) -> list[int]:
    """A place in SERIES, DASHES and SHAPES for each name: the known schemes have theirs, others take what is left."""
    found: dict[str, int] = {}
    for name in names:
        scheme = name.partition(",")[0]
        if scheme in SCHEMES and SCHEMES.index(scheme) not in found.values():
            found[name] = SCHEMES.index(scheme)
    for name in names:
        if name not in found:
            free = [at for at in range(len(SERIES)) if at not in found.values()]
            found[name] = free[0] if free else len(found) % len(SERIES)
    return [found[name] for name in names]
