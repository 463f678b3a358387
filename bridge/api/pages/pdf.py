"""A statement on paper."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from fpdf import FPDF

_WIDTHS = (42, 78, 30, 30)  # millimetres of A4's 210, less the margins
_LINE = 6.5
_TITLE_MAX = 52  # characters that fit the second column in one line


class Sheet(NamedTuple):
    """What stands on it; all texts as they are to be read."""

    name: str
    title: str
    facts: Sequence[tuple[str, str]]
    heading: tuple[str, str, str, str]
    rows: Sequence[tuple[str, str, str, str]]
    page: str


def drawn(sheet: Sheet) -> bytes:
    """Return the sheet as PDF. Letters outside Windows-1252 become question marks."""
    from fpdf import FPDF  # noqa: PLC0415 # a third of a second that only statements need

    class Paper(FPDF):
        def header(self) -> None:
            if self.page_no() > 1:
                _heading(self, sheet)

        def footer(self) -> None:
            self.set_y(-15)
            self.set_font("helvetica", size=8)
            self.set_text_color(110)
            self.cell(0, 10, _plain(f"{sheet.name} · {sheet.page} {self.page_no()}/{{nb}}"))

    paper = Paper()
    paper.core_fonts_encoding = "cp1252"
    paper.set_margin(15)
    paper.set_title(_plain(sheet.title))
    paper.add_page()
    _facts(paper, sheet)
    _heading(paper, sheet)
    for row in sheet.rows:
        _row(paper, row)
    return bytes(paper.output())


def _facts(paper: "FPDF", sheet: Sheet) -> None:
    paper.set_font("helvetica", size=10)
    paper.set_text_color(110)
    paper.cell(0, 6, _plain(sheet.name), new_x="LMARGIN", new_y="NEXT")
    paper.set_font("helvetica", style="B", size=20)
    paper.set_text_color(20)
    paper.cell(0, 14, _plain(sheet.title), new_x="LMARGIN", new_y="NEXT")
    paper.set_font("helvetica", size=9)
    for name, value in sheet.facts:
        paper.set_text_color(110)
        paper.cell(42, 5.5, _plain(name))
        paper.set_text_color(20)
        paper.cell(0, 5.5, _plain(value), new_x="LMARGIN", new_y="NEXT")
    paper.ln(6)


def _heading(paper: "FPDF", sheet: Sheet) -> None:
    paper.set_font("helvetica", style="B", size=9)
    paper.set_text_color(110)
    paper.set_draw_color(120)
    _cells(paper, sheet.heading)
    paper.set_font("helvetica", size=9)
    paper.set_text_color(20)
    paper.set_draw_color(225)


def _row(paper: "FPDF", row: tuple[str, str, str, str]) -> None:
    date, text, amount, balance = row
    short = text if len(text) <= _TITLE_MAX else f"{text[: _TITLE_MAX - 1]}…"
    _cells(paper, (date, short, amount, balance))


def _cells(paper: "FPDF", texts: tuple[str, str, str, str]) -> None:
    for text, width, align in zip(texts, _WIDTHS, ("L", "L", "R", "R"), strict=True):
        paper.cell(width, _LINE, _plain(text), border="B", align=align)
    paper.ln(_LINE)


def _plain(text: str) -> str:
    """Return the text with what the paper's fonts have; thin spaces become usual ones."""
    return text.replace("\u202f", "\u00a0").encode("cp1252", "replace").decode("cp1252")
