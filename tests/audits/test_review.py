"""A review: every line once, every finding at its line, new ones apart from known ones; and the page of it."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audits.browser import Browser, find_browser
from cli.commands import CONFIG, PLAIN, repository
from safe_remote_code.fetch import open_source
from safe_remote_code.policy import load_policy
from safe_remote_code.reference import parse_source
from safe_remote_code.report import examine
from safe_remote_code.report.highlight import highlight
from safe_remote_code.report.line_diff import changed_count, diff, lines_of
from safe_remote_code.report.page_code import changed_parts, code_html
from safe_remote_code.report.review import Review, review, size_of_change
from safe_remote_code.report.review_page import review_page
from safe_remote_code.report.review_text import review_lines
from safe_remote_code.snapshot import Snapshot, SourceFile, snapshot

OLD = PLAIN.replace("import math\n", "import math\nimport requests\n") + "\n\n" + "x = 1\n" * 30 + "first = eval\n" + "x = 1\n" * 30
NEW = OLD.replace("return math.sqrt(x)", "return math.exp(x)") + "\n\ndef send(x):\n    import socket\n\n    return socket.socket()\n"
HOSTILE = (
    '"""</script><script>document.title = \'owned\'</script>\n<img src=https://evil.example/pixel onerror=alert(1)>"""\n'
    "# \u202e\u2066 hidden \u200b \x1b[2J &amp; <!-- ' \" -->\n"
    "d\u0430ta = '\u05d0\u05d1\u05d2 == 1'\n\u05d0\u05d1 = 3\n"
    + PLAIN.partition('"""\n')[2]
)  # fmt: skip
#: Hostile text above code that differs from OLD in a line and in a function that was added.
MIXED = HOSTILE.partition("import math\n")[0] + NEW.partition('"""\n')[2]
_MANY = [f"line {number % 150}\n" for number in range(30_000)]


def _snapshot(**texts: str) -> Snapshot:
    return snapshot(SourceFile(path=f"{name}.py", data=text.encode()) for name, text in texts.items())


def _review(folder: Path, new: str, old: str | None, config: object = CONFIG) -> Review:
    repository(folder, {"modeling_plain.py": new}, config)
    made = examine(open_source(parse_source(str(folder))), load_policy("default"))
    return review(made, _snapshot(modeling_plain=old) if old is not None else None)


_texts = st.lists(st.sampled_from(["a\n", "b\n", "c\n", "\n", "a"]), max_size=12).map("".join)


@settings(max_examples=300)
@given(_texts, _texts)
@example("a\nb\n", "a\nb\n")
@example("a", "a\n")
def test_a_diff_holds_both_texts_whole_and_in_order(old: str, new: str) -> None:
    lines = diff(old, new)
    assert [line.text for line in lines if line.kind != "added"] == lines_of(old)
    assert [line.text for line in lines if line.kind != "removed"] == lines_of(new)
    assert [line.old for line in lines if line.old] == list(range(1, len(lines_of(old)) + 1))
    assert [line.new for line in lines if line.new] == list(range(1, len(lines_of(new)) + 1))
    assert old != new or changed_count(lines) == 0


def test_a_diff_of_hostile_length_is_quick_and_whole() -> None:
    old, new = "".join(_MANY), "first\n" + "".join(_MANY[::-1]) + "last\n"
    lines = diff(old, new)
    assert [line.text for line in lines if line.kind != "removed"] == lines_of(new)


def test_a_review_counts_the_lines_that_are_read() -> None:
    base, code = _snapshot(a="x\ny\n", gone="1\n2\n"), _snapshot(a="x\nz\n", new="1\n")
    assert size_of_change(base, code) == 2 + 2 + 1
    assert size_of_change(None, code) == 3


def test_findings_are_at_their_lines_and_new_apart_from_known(tmp_path: Path) -> None:
    made = _review(tmp_path / "plain", NEW, OLD)
    (file,) = made.files
    at = {line: {(mark.finding.rule, mark.fresh) for mark in marks} for line, marks in file.marks.items()}
    assert ("refused-builtin", False) in at[lines_of(NEW).index("first = eval") + 1]
    place = lines_of(NEW).index("    return socket.socket()") + 1
    assert ("ungranted-name", True) in at[place]
    assert {gain.capability for gain in file.gains[place]} == {"network"} == set(made.gained)
    assert (file.change, file.changed) == ("changed", 7 + 1)


def test_a_second_of_the_same_findings_is_new(tmp_path: Path) -> None:
    once = PLAIN + "first = eval\n"
    made = _review(tmp_path / "plain", once + "first = eval\n", once)
    last = len(lines_of(once))
    assert [mark.fresh for mark in made.files[0].marks[last] + made.files[0].marks[last + 1]] == [False, True]


def test_without_a_base_everything_is_new(tmp_path: Path) -> None:
    made = _review(tmp_path / "plain", NEW, None)
    assert (made.marks(fresh=False), made.files[0].change) == ((), "added")
    assert made.changed == len(lines_of(NEW))


def test_a_finding_about_no_line_of_the_code_is_not_lost(tmp_path: Path) -> None:
    made = _review(tmp_path / "plain", PLAIN, PLAIN, {**CONFIG, "chat_template": "{{ ''.__class__ }}" * 3})
    inside = [mark for file in made.files for marks in file.marks.values() for mark in marks]
    assert sorted(mark.finding for mark in (*inside, *made.elsewhere)) == sorted(made.examination.findings)


def test_the_terminal_shows_the_line_and_below_it_what_it_means(tmp_path: Path) -> None:
    lines = [line.plain for line in review_lines(_review(tmp_path / "plain", NEW, OLD), "change since yesterday")]
    text = "\n".join(lines)
    place = next(index for index, line in enumerate(lines) if "+     return socket.socket()" in line)
    assert "network: socket.socket" in lines[place + 1]
    assert "ungranted-name" in lines[place + 2]
    assert "-         return math.sqrt(x)\n       9 +         return math.exp(x)" in text
    assert re.search(r"\.\.\. \d+ unchanged lines", text)
    assert "first = eval" not in text, "known findings are counted, not shown again"


def test_the_terminal_shows_nothing_hidden(tmp_path: Path) -> None:
    text = "\n".join(line.plain for line in review_lines(_review(tmp_path / "plain", HOSTILE, PLAIN), "change"))
    assert not set(text) & set("\u202e\u2066\u200b\x1b")
    assert "\\u202e\\u2066 hidden \\u200b \\x1b[2J" in text


class _Elements(HTMLParser):
    """Tags and attributes as a browser would see them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def _page(tmp_path: Path, new: str = HOSTILE, old: str | None = PLAIN) -> str:
    return review_page(_review(tmp_path / "plain", new, old), "change <b>", "safe-remote-code certify '<i>'")


def test_the_page_holds_no_markup_but_ours(tmp_path: Path) -> None:
    tags = _Elements(_page(tmp_path)).tags
    names = {tag for tag, _ in tags}
    assert names & {"img", "iframe", "object", "embed", "form", "base", "i", "svg", "input"} == set()
    assert [tag for tag, _ in tags].count("script") == 1
    assert {name for _, values in tags for name in values if name.startswith("on") or name in ("src", "style")} == set()
    assert {values.get("href") for tag, values in tags if tag in ("a", "link")} <= {"#code", "#file-0", "data:,"}


def test_the_page_has_nothing_hidden(tmp_path: Path) -> None:
    page = _page(tmp_path)
    assert not set(page) & set("\u202e\u2066\u200b\x1b")
    assert '<b class="hidden" title="U+202E RIGHT-TO-LEFT OVERRIDE">\\u202e</b>' in page
    assert '<b class="foreign" title="U+0430 CYRILLIC SMALL LETTER A">\u0430</b>' in page


def test_the_page_names_its_style_and_script_by_hash(tmp_path: Path) -> None:
    page = _page(tmp_path)
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    directives = dict(item.strip().split(" ", 1) for item in policy[1].split(";"))
    assert directives["default-src"] == "'none'"
    for tag in ("style", "script"):
        body = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        assert body is not None
        digest = base64.b64encode(hashlib.sha256(body[1].encode()).digest()).decode()
        assert directives[f"{tag}-src"] == f"'sha256-{digest}'"


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), max_size=40))
@example("</span><script>")
@example("f'{x!r:>{w}}' # \u202e")
def test_any_line_is_escaped_and_its_visible_text_is_kept(text: str) -> None:
    from safe_remote_code.report.visible import visible

    shown: list[str] = []
    parser = HTMLParser()
    parser.handle_data = shown.append  # type: ignore[method-assign]
    parser.handle_starttag = lambda tag, _: shown.append("" if tag in ("span", "b", "mark") else "BAD")  # type: ignore[method-assign]
    parser.feed(code_html(text, highlight(text).get(1, []), (1, 3)))
    parser.close()
    assert "".join(shown) == "\t".join(visible(part) for part in text.split("\t"))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
@example("'''\n" * 3)
def test_colours_are_in_order_and_inside_their_line(text: str) -> None:
    lines = text.split("\n")
    for row, spans in highlight(text).items():
        assert all(one.end <= two.start for one, two in pairwise(spans))
        assert all(0 <= span.start < span.end for span in spans) and row <= len(lines) + 1


def test_the_part_of_a_line_that_changed_is_marked() -> None:
    lines = diff("same\nreturn math.sqrt(x)\n", "same\nreturn math.exp(x)\n")
    parts = {lines[index].text[slice(*span)] for index, span in changed_parts(lines).items()}
    assert parts == {"sqrt", "exp"}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    """A browser with a page: a change with new findings, among them hostile text; closed after the module."""
    executable = find_browser()
    if executable is None:
        pytest.skip("no Chromium on this machine: install the package chromium")
    folder = tmp_path_factory.mktemp("browser")
    page = folder / "review.html"
    page.write_text(_page(folder, MIXED, OLD), encoding="utf-8")
    with Browser(executable, folder / "profile") as browser:
        browser.show(width=1280, height=900, dark=False)
        browser.open(page.as_uri())
        yield browser  # type: ignore[misc]  # a generator fixture


_HERE = "document.activeElement"


def test_the_finding_is_at_its_line(opened: Browser) -> None:
    """The row before the note is the line of code that the note is about."""
    found = opened.value(
        "Array.from(document.querySelectorAll('[data-stop]')).filter(note => note.textContent.includes('ungranted-name'))"
        ".map(note => { let row = note; while (!row.classList.contains('row')) row = row.previousElementSibling;"
        " return [row.querySelector('.t').textContent, row.querySelectorAll('.n')[1].dataset.n, row.id] })"
    )
    (text, number, name) = found[-1]
    assert text == "added     return socket.socket()"
    assert name == f"file-0-{number}"
    assert lines_of(MIXED)[int(number) - 1] == "    return socket.socket()"


def test_n_and_p_go_from_finding_to_finding(opened: Browser) -> None:
    count = opened.value("document.querySelectorAll('[data-stop]').length")
    assert count >= 4
    seen = []
    for _ in range(count):
        opened.press("n")
        seen.append(opened.value(f"{_HERE}.id"))
        assert opened.value(f"(r => r.top >= 0 && r.bottom <= innerHeight)({_HERE}.getBoundingClientRect())")
    assert seen == [f"stop-{number}" for number in range(1, count + 1)]
    assert opened.value("document.getElementById('where').textContent") == f"{count} of {count}"
    opened.press("n")
    assert opened.value(f"{_HERE}.id") == "stop-1"
    opened.press("p")
    assert opened.value(f"{_HERE}.id") == f"stop-{count}"
    assert opened.value("document.querySelectorAll('.row.here').length") == 1


def test_j_goes_to_changes_and_o_unfolds(opened: Browser) -> None:
    opened.press("j")
    assert opened.value("document.querySelector('.row.here').matches('.added, .removed')")
    assert opened.value("document.querySelectorAll('details').length") > 0
    opened.press("o")
    assert opened.value("document.querySelectorAll('details:not([open])').length") == 0
    opened.press("o")
    assert opened.value("document.querySelectorAll('details[open]').length") == 0


def test_the_page_is_used_by_tab_alone(opened: Browser) -> None:
    reached = set()
    for _ in range(12):
        opened.press("Tab")
        reached.add(opened.value(f"{_HERE}.id || {_HERE}.className || {_HERE}.tagName"))
    assert {"previous", "next"} & reached
    assert opened.value("document.querySelectorAll('main, nav[aria-label], h1').length") == 3


def test_letters_of_other_scripts_stay_in_the_order_of_the_code(opened: Browser) -> None:
    """Hebrew letters draw from right to left on their own; in code that would be another program to the eye."""
    order = opened.value(
        "(() => { const cell = Array.from(document.querySelectorAll('.t')).find(t => t.textContent.includes('\u05d0\u05d1 = 3'));"
        " const walk = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT); const places = [];"
        " while (walk.nextNode()) for (let i = 0; i < walk.currentNode.length; i++) { const range = document.createRange();"
        " range.setStart(walk.currentNode, i); range.setEnd(walk.currentNode, i + 1);"
        " if (!walk.currentNode.parentElement.closest('.spoken')) places.push(range.getBoundingClientRect().left); }"
        " return places })()"
    )
    assert len(order) == len("\u05d0\u05d1 = 3") and order == sorted(order)


@pytest.mark.parametrize("dark", [False, True])
def test_text_can_be_read_in_light_and_dark(opened: Browser, dark: bool) -> None:
    """Contrast of at least 4.5 to 1 (WCAG 2.2, 1.4.3) for every kind of text on what is behind it."""
    opened.show(width=1280, height=900, dark=dark)
    low = opened.value(
        "(() => { const parse = c => c.match(/[\\d.]+/g).map(Number);"
        " const light = c => { const [r, g, b] = parse(c).map(v => v / 255).map(v => v <= .04045 ? v / 12.92"
        " : ((v + .055) / 1.055) ** 2.4); return .2126 * r + .7152 * g + .0722 * b };"
        " const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor;"
        " if (parse(c)[3] === undefined || parse(c)[3] > 0) return c } return 'rgb(255, 255, 255)' };"
        " const low = new Set();"
        " for (const e of document.querySelectorAll('p, b, code, dt, dd, a, kbd, .t, .t span, .n, h1, h2, summary, button')) {"
        " if (!e.textContent.trim() && !e.dataset.n) continue;"
        " const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);"
        " if ((a + .05) / (b + .05) < 4.5) low.add((e.className || e.tagName) + ' ' + ((a + .05) / (b + .05)).toFixed(2)) }"
        " return Array.from(low) })()"
    )
    assert low == []


def test_the_page_asked_for_nothing_and_nothing_hostile_ran(opened: Browser) -> None:
    assert opened.value("document.title") == "Review of local:plain"
    assert [url for url in opened.requests if not url.startswith(("file:", "data:", "about:"))] == []
    assert len([url for url in opened.requests if url.startswith("file:")]) == 1
    assert opened.complaints == []


def test_the_policy_of_the_page_stops_what_would_be_injected(opened: Browser) -> None:
    """The last wall, tried: markup that got in could neither run nor ask for anything."""
    opened.value(
        "document.body.insertAdjacentHTML('beforeend', '<img src=\"https://evil.example/x.png\" onerror=\"document.title=1\">"
        "<iframe src=\"https://evil.example/\"></iframe>')"
    )
    opened.value("(() => { const s = document.createElement('script'); s.textContent = 'document.title = 2';"
                 " document.body.append(s) })()")  # fmt: skip
    assert opened.value("fetch('https://evil.example/').then(() => 'sent', () => 'stopped')") != "sent"
    assert opened.value("document.title") == "Review of local:plain"
    assert len(opened.complaints) >= 2
