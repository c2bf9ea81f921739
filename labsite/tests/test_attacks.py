"""The attack corpus as a catalogue: complete, true about the code, and what docs/security.md says. No attack runs here."""
from collections import Counter

from tests.attacks import catalogue


def test_each_attack_names_a_place_in_the_code_that_is_there():
    assert [why for attack in catalogue.load() if (why := attack.stale())] == []


def test_each_attack_says_all_that_the_table_needs():
    for attack in catalogue.load():
        if attack.by != "control":
            assert attack.tries and attack.holds and attack.at and attack.seen, attack


def test_there_are_enough_and_each_category_has_a_control():
    by_category = {}
    for attack in catalogue.load():
        by_category.setdefault(attack.category, Counter())[attack.by] += 1
    assert sum(count for kinds in by_category.values() for by, count in kinds.items() if by != "control") >= 60
    assert [category for category, kinds in by_category.items() if not kinds["control"]] == []


def test_the_page_says_what_the_corpus_does():
    page = catalogue.PAGE.read_text()
    assert catalogue.written(page) == page, "docs/security.md is stale. Run: .venv/bin/python -m tests.attacks write"


def test_a_table_tells_what_was_not_blocked():
    attack = next(attack for attack in catalogue.load() if attack.by == "inside")
    lines = "\n".join(catalogue.verdicts({(attack.module, attack.name): ["passed", "failed"]}))
    assert "NOT BLOCKED" in lines and "0 blocked" in lines
