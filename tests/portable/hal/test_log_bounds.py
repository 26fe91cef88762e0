"""The log at its bounds: length, characters, dates."""

from __future__ import annotations

from hal.rt import log
from tests.portable.hal.test_log import Paper, written


def line(text):
    paper = Paper()
    written(paper, lambda: log.info("w", text))
    return paper.text


HEAD = "2026-07-14T15:00:00Z info    w: "


def test_a_thousand_characters_and_not_one_more():
    assert line("x" * 1000) == HEAD + "x" * 1000 + "\n"
    assert line("x" * 1001) == HEAD + "x" * 1000 + "...\n"
    assert line("\n" * 1001) == HEAD + "\\x0a" * 1000 + "...\n"


def test_each_character_by_itself():
    for character, shown in (
        (" ", " "),
        ("~", "~"),
        ("\x1f", "\\x1f"),
        ("\x7f", "\\x7f"),
        ("\x9f", "\\x9f"),
        ("\xa0", "\xa0"),
        ("é", "é"),
        ("\0", "\\x00"),
        ("a b\nc", "a b\\x0ac"),
    ):
        assert line(character) == HEAD + shown + "\n", repr(character)
    assert line(5) == HEAD + "5\n"


def test_where_is_as_safe_as_the_text():
    paper = Paper()
    written(paper, lambda: log.error("a\nb", "c"))
    assert paper.text == "2026-07-14T15:00:00Z error   a\\x0ab: c\n"


def test_each_level_from_its_own_on():
    names = ("debug", "info", "warning", "error")
    for least in names:
        paper = Paper()

        def all_of_them(least=least):
            log.set_level(least)
            for name in names:
                getattr(log, name)("w", name)

        written(paper, all_of_them)
        shown = [each.split(" ", 1)[1].split("w: ")[1] for each in paper.text.split("\n")[:-1]]
        assert shown == list(names[names.index(least) :])
