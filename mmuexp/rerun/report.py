"""report.md of an experiment: question, answer with its figures, tables, chart, commands, and what was counted."""

from collections.abc import Mapping

from mmuexp.errors import MmuexpError
from mmuexp.render.markdown import markdown
from mmuexp.rerun.about import FILE, PLACE, About
from mmuexp.rerun.choice import Rows, chart_columns, rows_in
from mmuexp.rerun.command import calls_of
from mmuexp.rerun.figures import broken_holds, figure_text, table_lines
from mmuexp.rerun.measured import measured_beside
from mmuexp.result.table import Result

CHART = "chart.svg"
MEASURED = (
    "What [results/live](../live/README.md) measured of these runs on one machine, beside the model at the prices of"
    " the table below, with the least and the most that its prices leave open together:"
)


class Report:
    """What is made of an experiment's results, by the name of the command. Raises MmuexpError for odd figures."""

    def __init__(self, about: About, results: Mapping[str, Result]):
        self.about, self.results = about, dict(results)
        self.rows: dict[str, Rows] = {name: rows_in(about, result) for name, result in results.items()}
        self.answer = self._answer()
        self.broken = broken_holds(self.rows)

    def _answer(self) -> str:
        texts = {figure.name: figure_text(figure, self.rows[figure.choice.of]) for figure in self.about.figures}
        return PLACE.sub(lambda found: texts[found[1]], self.about.answer)

    def _error(self, what: str, todo: str) -> MmuexpError:
        return MmuexpError(what, where=f"{self.about.name}/{FILE}", todo=todo)

    def text(self) -> str:
        about = self.about
        parts = [f"# {about.name}", f"*{about.question}*", self.answer]
        parts += [f"**This does not hold: {line}.**" for line in self.broken]
        for table in about.tables:
            parts += [table.title] if table.title else []
            parts.append(_table(table_lines(table, self.rows[table.choice.of])))
        if about.chart is not None:
            parts.append(f"![{about.chart.spec.get('title', about.name)}]({CHART})")
        first, *others = self.results
        if measured := measured_beside(about.folder, self.results[first]):
            parts += [MEASURED, _table(measured)]
        parts.append("\n".join(self._commands()))
        if others:
            parts.append(
                f"Below: {first}. " + ", ".join(f"[{name}.csv]({name}.csv)" for name in others) + " hold the others."
            )
        return "\n\n".join(parts) + "\n\n" + markdown(self.results[first])

    def _commands(self) -> list[str]:
        lines = [self.about.recipe] if self.about.recipe else []
        lines += [call.line for call in calls_of(self.about).values()]
        return [f"    {line}" for line in lines]

    def chart(self) -> bytes | None:
        """The chart as SVG, None if experiment.toml asks for none."""
        chart = self.about.chart
        if chart is None:
            return None
        import pandas as pd

        from mmuexp.render.chart.draw import chart_of, svg

        frame = pd.DataFrame(chart_columns(self.rows[chart.choice.of], chart.choice))
        try:
            return svg(chart_of(frame, chart.spec))
        except MmuexpError as error:
            raise self._error(f"chart: {error.what}", error.todo) from None


def _table(lines: list[list[str]]) -> str:
    head, *rest = lines
    marks = "|:--|" + "--:|" * (len(head) - 1)
    return "\n".join([_line(head), marks, *(_line(line) for line in rest)])


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
