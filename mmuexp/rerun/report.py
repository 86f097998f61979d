"""report.md of an experiment: question, answer with its figures, tables, chart, commands, and what was counted."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from mmuexp.errors import MmuexpError
from mmuexp.render.markdown import markdown
from mmuexp.render.words import markdown_line
from mmuexp.rerun.about import LIVE, PLACE, About, AnswerTable
from mmuexp.rerun.choice import Rows, is_chosen, rows_in
from mmuexp.rerun.command import calls_of
from mmuexp.rerun.figures import broken_holds, figure_text, table_lines
from mmuexp.rerun.measured import measured_beside
from mmuexp.result.saved import load
from mmuexp.result.table import Result
from mmuexp.result.turns import stem

CHART = "chart.svg"
MEASURED = (
    "What [results/live](../live/README.md) measured of these runs on one machine, beside the model at the prices of"
    " the table below, with the least and the most that its prices leave open together:"
)


class ExperimentReport:
    """Holds what is made of an experiment's results, by the name of the command. Raises MmuexpError for figures that
    have no value in them."""

    def __init__(self, about: About, results: Mapping[str, Result]):
        self.about, self.results = about, dict(results)
        self._asked = self.results | {name: load(f"{about.folder.parent / name}.csv") for name in about.live}
        self.rows: dict[str, Rows] = {name: rows_in(about, result) for name, result in self._asked.items()}
        texts = {figure.name: figure_text(figure, self.rows[figure.of]) for figure in about.figures}
        self.answer = PLACE.sub(lambda found: texts[found[1]], about.answer)
        self.broken = broken_holds(self.rows)

    def tables(self) -> list[tuple[AnswerTable, str, list[list[str]]]]:
        """(what is asked for, its title, its lines) of each table; {host} in a title names the host of its prices."""
        found = []
        for table in self.about.tables:
            host = self._asked[table.of].manifest.get("prices", {}).get("host", {}).get("name", "")
            found.append((table, table.title.replace("{host}", host), table_lines(table, self.rows[table.of])))
        return found

    def text(self) -> str:
        about = self.about
        parts = [f"# {about.name}", f"*{about.question}*", self.answer]
        parts += [f"**This does not hold: {line}.**" for line in self.broken]
        for _, title, lines in self.tables():
            parts += [*[title] * bool(title), _table(lines)]
        if about.chart is not None:
            parts.append(f"![{about.chart.spec.get('title', about.name)}]({CHART})")
        first, *others = self.results
        if measured := measured_beside(about.folder.parent / LIVE, self.results[first]):
            parts += [MEASURED, _table(measured)]
        parts.append("\n".join(f"    {line}" for line in commands_of(about)))
        if others:
            links = ", ".join(f"[{name}.csv]({name}.csv)" for name in others)
            parts.append(f"Below: {first}. {links} hold the others.")
        return "\n\n".join(parts) + "\n\n" + markdown(self.results[first])

    def drawn(self) -> pd.DataFrame:
        """What the chart draws: the columns of the rows that it chooses; `recording`, a trace's name alone; `setting`,
        that and the swept values but for those of the first parameter, which is for the x axis."""
        chart: Any = self.about.chart
        rows = self.rows[chart.of]
        found = [row for row in rows.chosen(chart) if is_chosen(row, chart)]
        columns: dict[str, list[Any]] = {name: [_plain(row[name]) for row in found] for name in rows.rows[0]}
        columns["recording"] = [stem(row["trace"]) for row in found]
        told = rows.parameters[1:]
        columns["setting"] = [", ".join([stem(row["trace"]), *(f"{n} {row[n]}" for n in told)]) for row in found]
        return pd.DataFrame(columns)

    def chart(self) -> bytes | None:
        """The chart as SVG, None if experiment.toml asks for none."""
        if self.about.chart is None:
            return None
        from mmuexp.render.chart.draw import chart_of, svg

        frame = self.drawn()
        try:
            return svg(chart_of(frame, self.about.chart.spec))
        except MmuexpError as error:
            raise self.about.error(f"chart: {error.what}", todo=error.todo) from None


def commands_of(about: About) -> list[str]:
    """What makes the recordings, if they are not in the repository, and the tables."""
    return [*[about.recipe] * bool(about.recipe), *(call.line for call in calls_of(about).values())]


def _plain(value: Any) -> Any:
    """A cell for a DataFrame: a fraction as a float."""
    return value if value is None or isinstance(value, int | float | str) else float(value)


def _table(lines: Sequence[Sequence[str]]) -> str:
    head, *rest = map(markdown_line, lines)
    return "\n".join([head, "|:--|" + "--:|" * (len(lines[0]) - 1), *rest])
