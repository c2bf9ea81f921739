"""Every string of the interface is in locale/, translated; and the page's script gets its own."""
import re
import shutil
import subprocess
import sys

import pytest
from django.conf import settings
from django.test import Client

from labsite import translations
from netcontrol.errors import LabError

FILES = translations.files()
SOURCES = ("labsite", "lessons", "netcontrol", "templates", "static/js", "locale", "manage.py", "VERSION")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|%[sd%]|\{\w+\}|</?\w+>|`")


def entries() -> list:
    return [pytest.param(entry, id=f"{entry.id[:50]}") for file in FILES for entry in translations.read(file)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_everything_is_translated(file):
    assert [entry.id for entry in translations.read(file) if not entry.done] == []


@pytest.mark.parametrize("entry", entries())
def test_a_translation_holds_what_its_original_holds(entry):
    """The same placeholders and marks, in any order; and Chinese is set with Chinese punctuation, and without a blank between its characters."""
    wanted = sorted(PLACEHOLDER.findall(entry.plural or entry.id))
    for said in entry.said:
        assert sorted(PLACEHOLDER.findall(said)) == wanted
        assert not re.search(r"[\u4e00-\u9fff][,;:!?.]|[,;!?] ?[\u4e00-\u9fff]|[\u4e00-\u9fff] [\u4e00-\u9fff]", said), said
        assert entry.id == ", " or said == said.strip()


def test_nothing_new_is_said(tmp_path):
    """`./lab words`, run on a copy, finds what is in locale/ already, and no more. When this fails: run it, and translate."""
    for name in SOURCES:
        source = settings.BASE_DIR / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("content", "__pycache__", "tests", "*.mo"))
        else:
            shutil.copy(source, tmp_path / name)
    subprocess.run([sys.executable, "manage.py", "words"], cwd=tmp_path, env={"PATH": "/usr/bin:/bin", "PATCHBAY_VAR": str(tmp_path / "var"), "PYTHONPATH": ":".join(sys.path)}, check=True, capture_output=True, timeout=100)
    for file in FILES:
        fresh = tmp_path / file.relative_to(settings.BASE_DIR)
        assert fresh.read_text() == file.read_text()


def test_the_script_s_strings_are_found():
    """xgettext passes over some JavaScript without a word; this reads it more simply, and must find nothing more."""
    known = {entry.id for file in FILES if file.name == "djangojs.po" for entry in translations.read(file)}
    for script in sorted((settings.BASE_DIR / "static" / "js").rglob("*.js")):
        code = re.sub(r"^\s*(//|\*|/\*).*$", "", script.read_text(), flags=re.MULTILINE)
        for said in re.findall(r'(?<![\w.$])(?:t|n|parts)\(\s*"((?:[^"\\]|\\.)*)"', code):
            assert said.replace('\\"', '"') in known, f"{script.name}: {said}"


def test_compiling(tmp_path, settings):
    settings.LOCALE_PATHS = [tmp_path]
    po = tmp_path / "zh_Hans/LC_MESSAGES/django.po"
    po.parent.mkdir(parents=True)
    shutil.copy(next(file for file in FILES if file.name == "django.po"), po)
    assert translations.compile_all() and po.with_suffix(".mo").exists()
    assert not translations.compile_all(), "once is enough"
    assert list(po.parent.iterdir()) and len(list(po.parent.iterdir())) == 2
    po.write_text('msgid "a"\nmsgstr "')
    po.with_suffix(".mo").unlink()
    with pytest.raises(LabError, match="msgfmt does not take"):
        translations.compile_all()


def words(language: str, version: str = "") -> tuple[str, int, str]:
    answer = Client().get(f"/words/{language}/{version or translations.version(language)}.js")
    return answer.content.decode(), answer.status_code, answer.headers.get("Cache-Control", "")


@pytest.mark.usefixtures("plain_static")
def test_the_script_s_words():
    script, code, cache = words("zh-hans")
    assert code == 200 and "gettext" in script and cache == "public, max-age=31536000, immutable"
    assert "no-cache" in words("zh-hans", "older")[2]
    assert words("klingon")[1] == 404


@pytest.mark.django_db
@pytest.mark.usefixtures("plain_static")
@pytest.mark.parametrize(("language", "there"), [("en", False), ("zh-CN", True)])
def test_a_page_loads_them_before_its_own_script(language, there):
    page = Client().get("/no-such-page", headers={"Accept-Language": language}).content.decode()
    assert (f'<script defer src="/words/zh-hans/{translations.version("zh-hans")}.js">' in page) is there
    assert not re.search(r"<script(?![^>]*\bsrc=)(?![^>]*json)", page), "no script in the page itself: the policy forbids it"
