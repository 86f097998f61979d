"""The importers of texts against a slow reader of our own: whole files, in pieces, with mistakes in them."""

import random
import re

import pytest
from kit.importing import imported
from kit.text_formats import FORMATS, Bad, events_of, random_events, rows_of_events

from mmuexp.errors import MmuexpError
from mmuexp.trace.importers.source import Source

SPOILERS = '0123456789abcdefxRWLSImv \t\r\n,:;|#"->@\x1b\xff'


def text_of(name: str, seed: int, count: int) -> str:
    r = random.Random(seed)
    return FORMATS[name].write(r, random_events(r, count))


def expected(name: str, text: str):
    return rows_of_events(events_of(name, text), FORMATS[name].lengths)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("seed", range(2))
def test_rows_are_those_of_the_slow_reader(tmp_path, name, seed):
    text = text_of(name, seed, 1000)
    rows, done, trace = imported(tmp_path, text, from_format=name, **FORMATS[name].options)
    assert rows == expected(name, text)
    assert len(rows) > 500 and done.units == len(text.splitlines())
    assert ("code" in trace.metadata) == (not FORMATS[name].lengths or name not in ("xdin",))


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("piece", [1, 97])
def test_where_the_text_is_cut_into_pieces_does_not_matter(tmp_path, monkeypatch, name, piece):
    text = text_of(name, 7, 60)
    whole, done, _ = imported(tmp_path, text, from_format=name, **FORMATS[name].options)
    data = text.encode()
    monkeypatch.setattr(Source, "chunks", lambda _: (data[at : at + piece] for at in range(0, len(data), piece)))
    assert imported(tmp_path, text, from_format=name, **FORMATS[name].options)[:2] == (whole, done)


@pytest.mark.parametrize("name", FORMATS)
def test_the_arrays_may_be_full_at_any_line(tmp_path, monkeypatch, name):
    text = text_of(name, 8, 3000)
    monkeypatch.setattr("mmuexp.trace.importers.rows.MOST_EVENTS", 4200)  # 4096 places are kept free for a line
    assert imported(tmp_path, text, from_format=name, **FORMATS[name].options)[0] == expected(name, text)


@pytest.mark.parametrize("name", FORMATS)
def test_a_spoiled_text_is_refused_where_the_slow_reader_refuses_it(tmp_path, name):
    r, refused, taken = random.Random(name), 0, 0
    whole = text_of(name, 9, 12)
    for _ in range(40):
        text = list(whole)
        for _ in range(r.choice([1, 1, 2])):
            at = r.randrange(len(text))
            text[at : at + r.choice([0, 1, 1, 5])] = r.choices(SPOILERS, k=r.choice([0, 1, 1, 2]))
        spoiled = "".join(text)
        try:
            events, bad = events_of(name, spoiled), None
        except Bad as error:
            bad, events = error.args
        if re.search("[0-9a-f]{17}", spoiled, re.IGNORECASE):
            continue  # beyond 64 bits: refused whatever the format
        if any(one.size > 4096 or (name == "xdin" and not one.size) for one in events):
            continue  # the size of no instruction: likewise
        try:
            rows, *_ = imported(tmp_path, spoiled.encode("latin-1"), from_format=name, **FORMATS[name].options)
        except MmuexpError as error:
            assert bad is not None and f"line {bad:,} " in str(error) and "\n" not in str(error), (spoiled, str(error))
            refused += 1
        else:
            assert bad is None and rows == rows_of_events(events, FORMATS[name].lengths), spoiled
            taken += 1
    assert refused > 5 and taken > 5
