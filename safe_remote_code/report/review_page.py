"""A review as one page for a browser, which fetches nothing and runs nothing but the script that is in it.

Guarantee: every text of the repository is escaped; the page's own policy (CSP, W3C) allows the one style and
the one script whose hashes it names, and no request, form, frame or image. Without scripts it is still readable.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

from .highlight import Span, highlight
from .page_code import changed_parts, code_html, plain
from .review_text import count, shown_lines

if TYPE_CHECKING:
    from ..snapshot import Snapshot
    from .line_diff import DiffLine
    from .review import FileReview, Gain, Mark, Review

_SIGNS: Final = {"same": "", "added": "+", "removed": "−"}
_STANDINGS: Final = {"refused": "refused", "guarded": "left to the guard", "note": "note"}


def review_page(review: Review, label: str, command: str) -> str:
    """The page. `label` says what the change is measured from, `command` what records the review."""
    style, script = (_own(name) for name in ("review.css", "review.js"))
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    writer = _Writer(review)
    main = "".join(writer.main(label, command))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>Review of {plain(str(review.examination.repo))}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#code">Skip to the code</a>\n{main}{_bar(writer.stops)}'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _own(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode('utf-8')).digest()).decode('ascii')}"


def _bar(stops: int) -> str:
    if not stops:
        keys = "<kbd>j</kbd> <kbd>k</kbd> go from change to change."
        return f'<footer class="bar"><p>No new findings. {keys}</p></footer>\n'
    return (
        '<footer class="bar"><button type="button" id="previous"><kbd>p</kbd> previous</button>'
        '<button type="button" id="next"><kbd>n</kbd> next</button>'
        f'<p id="where" role="status" aria-live="polite">{count(stops, "place")} to look at</p>'
        '<p class="keys"><kbd>j</kbd> <kbd>k</kbd> changes &nbsp; <kbd>o</kbd> unfold all</p></footer>\n'
    )


@final
class _Writer:
    """The parts of one page; counts the places that `n` and `p` visit."""

    def __init__(self, review: Review) -> None:
        self.review, self.stops = review, 0
        self.verb = "gains" if review.base is not None else "reaches"

    def main(self, label: str, command: str) -> Iterator[str]:
        """Header, list of files, code."""
        files = [(f"file-{index}", file) for index, file in enumerate(self.review.files)]
        yield from self._header(label)
        yield '<div class="columns">\n<nav aria-label="Files"><ol>'
        yield from (_entry(name, file) for name, file in files)
        yield '</ol></nav>\n<main id="code" tabindex="-1"'
        # Where all is new, colour that says so says nothing.
        yield ">\n" if self.review.base is not None else ' class="whole">\n'
        if self.review.elsewhere:
            yield '<section class="file"><h2>About the repository</h2>'
            yield from (self._mark(mark, frozenset(), place=True) for mark in self.review.elsewhere)
            yield "</section>\n"
        for name, file in files:
            yield from self._file(name, file)
        yield f'<section class="done"><h2>When it is read</h2><pre><code>{plain(command)}</code></pre></section>\n'
        yield "</main>\n</div>\n"

    def _header(self, label: str) -> Iterator[str]:
        review, examination = self.review, self.review.examination
        yield f'<header>\n<p class="product">safe-remote-code review</p>\n<h1>{plain(str(examination.repo))}</h1>\n'
        yield '<dl class="identity">'
        if examination.commit:
            yield f"<div><dt>commit</dt><dd>{plain(examination.commit)}</dd></div>"
        digest = examination.snapshot.digest if examination.snapshot else ""
        yield f"<div><dt>content</dt><dd>{digest}</dd></div><div><dt>shown</dt><dd>{plain(label)}</dd></div></dl>\n"
        yield '<ul class="facts">'
        added, removed = (self._lines(kind) for kind in ("added", "removed"))
        yield f"<li>{_counts(added, removed)} lines to read</li>"
        fresh = review.marks(fresh=True)
        for standing, words in _STANDINGS.items():
            number = sum(mark.standing == standing for mark in fresh)
            if number:
                new = " new" if review.base is not None else ""
                yield f'<li class="{standing}"><b>{number:,}</b>{new} {words}</li>'
        known = len(review.marks(fresh=False))
        if known:
            yield f"<li><b>{known:,}</b> as before</li>"
        yield from (f'<li class="gain">{self.verb} <b>{plain(name)}</b></li>' for name in review.gained)
        yield from (f"<li>loses <b>{plain(name)}</b></li>" for name in review.lost)
        yield f"<li>policy <b>{plain(examination.policy.name)}</b></li></ul>\n</header>\n"

    def _lines(self, kind: str) -> int:
        return sum(line.kind == kind for file in self.review.files for line in file.lines)

    def _file(self, name: str, file: FileReview) -> Iterator[str]:
        yield f'<section class="file" aria-labelledby="{name}">\n<h2 id="{name}">'
        yield f'<span class="path">{plain(file.path)}</span> '
        yield f'<span class="change {file.change}">{file.change}</span></h2>\n<div class="code">'
        old, new = (_colours(code, file.path) for code in (self.review.base, self.review.examination.snapshot))
        strong, shown = changed_parts(file.lines), shown_lines(file)
        numbered = list(enumerate(file.lines))
        for open_now, group in groupby(numbered, key=lambda item: shown[item[0]]):
            block = list(group)
            if not open_now:
                yield f"<details><summary>{count(len(block), 'unchanged line')}</summary>"
            for index, line in block:
                spans = old.get(line.old or 0, []) if line.kind == "removed" else new.get(line.new or 0, [])
                yield _row(name, line, code_html(line.text, spans, strong.get(index)))
                yield from self._notes(file, line)
            if not open_now:
                yield "</details>"
        yield "</div>\n</section>\n"

    def _notes(self, file: FileReview, line: DiffLine) -> Iterator[str]:
        gains = file.gains.get(line.new or 0, ())
        marks = file.marks.get(line.new or 0, ())
        told = {mark.finding.capability for mark in marks if mark.fresh}
        yield from (self._gain(gain) for gain in gains if gain.capability not in told)
        capabilities = frozenset(gain.capability for gain in gains)
        yield from (self._mark(mark, capabilities) for mark in marks)

    def _stop(self) -> str:
        self.stops += 1
        return f'id="stop-{self.stops}" data-stop tabindex="-1"'

    def _gain(self, gain: Gain) -> str:
        return (
            f'<div class="note gain" {self._stop()}><p><b class="badge">{self.verb} {plain(gain.capability)}</b> '
            f"<code>{plain(gain.name)}</code></p></div>"
        )

    def _mark(self, mark: Mark, gained: frozenset[str], *, place: bool = False) -> str:
        finding = mark.finding
        stop = self._stop() if mark.fresh else ""
        where = f"{plain(finding.path)}: " if place else ""
        badge = f' <b class="badge gain">{self.verb} {plain(finding.capability)}</b>'
        gain = badge if finding.capability in gained else ""
        again = "" if mark.fresh else ' <span class="again">as before</span>'
        remedy = f'<p class="remedy">{plain(finding.remedy)}</p>' if finding.remedy else ""
        return (
            f'<div class="note {mark.standing}{"" if mark.fresh else " known"}" {stop}>'
            f'<p><b class="badge">{_STANDINGS[mark.standing]}</b>{gain} <code>{plain(finding.rule)}</code>{again}: '
            f"{where}{plain(finding.message)}</p>{remedy}</div>"
        )


def _entry(name: str, file: FileReview) -> str:
    fresh = sum(mark.fresh for marks in file.marks.values() for mark in marks)
    added = sum(line.kind == "added" for line in file.lines)
    removed = file.changed - added
    places = f' <span class="places" title="{count(fresh, "new finding")}">{fresh}</span>' if fresh else ""
    return (
        f'<li class="{file.change}"><a href="#{name}"><span class="path">{plain(file.path)}</span></a> '
        f'<span class="counts">{_counts(added, removed)}{places}</span></li>'
    )


def _counts(added: int, removed: int) -> str:
    plus = f'<b class="plus">+{added:,}</b>' if added else ""
    minus = f'<b class="minus">−{removed:,}</b>' if removed else ""
    return f"{plus} {minus}".strip()


def _colours(code: Snapshot | None, path: str) -> dict[int, list[Span]]:
    return highlight(code[path].text) if code is not None and path in code else {}


def _row(name: str, line: DiffLine, code: str) -> str:
    place = f' id="{name}-{line.new}"' if line.new is not None else ""
    word = "" if line.kind == "same" else f'<span class="spoken">{line.kind} </span>'
    sign = f'<span class="sign" aria-hidden="true">{_SIGNS[line.kind]}</span>'
    return (
        f'<div class="row {line.kind}"{place}><span class="n" data-n="{line.old or ""}"></span>'
        f'<span class="n" data-n="{line.new or ""}"></span>{sign}'
        f'<span class="t">{word}{code}</span></div>'
    )
