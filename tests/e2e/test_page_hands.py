# SPDX-License-Identifier: MIT
"""The page by other hands and eyes: a phone, the dark, the keyboard alone, a screen reader."""

import pytest

pytest.importorskip("selenium")

from browser import chromium, open_page  # noqa: E402, F401
from conftest import Unit, v1, wait_for  # noqa: E402
from pagesite import IDENT, ROOT, built, make_site, site  # noqa: E402, F401
from selenium.webdriver.common.keys import Keys  # noqa: E402

# ruff: noqa: F811
pytestmark = built
VIEWS = ("units", "alarms", "bridges", "strangers", "add", "map")
SMALL = """return [...document.querySelectorAll('button, select, input, a, summary, [role=row][tabindex], [role=tab]')].filter((e) => e.offsetParent)
    .filter((e) => e.offsetHeight < 40 && !e.closest('.leaflet-control-attribution')).map((e) => e.outerHTML.slice(0, 80))"""


def touchable(page):
    assert not page.script(SMALL)
    assert page.script("return document.documentElement.scrollWidth") <= 390


def test_a_phone_in_the_dark(site, open_page):
    """390 x 844, by touch alone: map, list, unit and a command; what is touched is large enough, and nothing is wider than the screen."""
    page = open_page(size=(390, 844), dark=True, touch=True)
    unit = Unit(site.bridge.port)
    unit.send(v1(IDENT))
    page.open(site.url, "dispatcher")
    wait_for(lambda: page.shown() == 1, "the unit on the map")
    touchable(page)
    at = wait_for(lambda: page.script("return __page.map.where(__page.store.units.get(arguments[0]))", IDENT), "its place")
    page.touch(at["x"], at["y"])
    page.wait_text(IDENT, ".unit h2")
    # what was touched is not covered by what it opened
    wait_for(lambda: page.script("return __page.map.where(__page.store.units.get(arguments[0])).y", IDENT) < page.script("return document.querySelector('.unit').getBoundingClientRect().top"), "the unit in view")
    page.tap(".unit header button")
    wait_for(lambda: not page.all(".unit"), "the end of the panel")
    for view in ("alarms", "bridges", "strangers", "add", "units"):
        page.tap(f'[data-view="{view}"]')
        page.find(f".view-{view}")
        touchable(page)
    page.tap(f'[data-name="{IDENT}"]')
    for tab in ("record", "frames", "commands"):
        page.tap(f'[data-tab="{tab}"]')
        page.find(f'[data-tab="{tab}"][aria-selected="true"]')
        touchable(page)
    page.enter('select[name="command"]', "engine.stop")
    page.tap('.commands button[type="submit"]')
    page.tap('[role="alertdialog"] button[name="yes"]')
    assert unit.receive_until(b",S20,")
    page.wait_text("sent to the unit", ".requests")
    touchable(page)
    r, g, b = page.script("return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert r + g + b < 200
    unit.close()
    page.no_faults()


def test_the_table_by_keyboard(site, open_page):
    """From the top of the page to a unit and back, without a mouse, also to rows that are not drawn yet."""
    page = open_page()
    units = []
    for n in range(45):
        units.append(Unit(site.bridge.port))
        units[-1].send(v1(f"91705038{n:02d}"))
        units[-1].receive()
    page.open(site.url, "viewer")
    page.click('[data-view="units"]')
    wait_for(lambda: page.text('[data-view="units"] .count') == "45", "all units")
    focus = lambda: page.script("return document.activeElement.dataset.name ?? null")  # noqa: E731
    page.script("document.querySelector('.find input').focus()")
    for _ in range(20):  # past the buttons between
        page.keys(Keys.TAB)
        if focus():
            break
    assert focus() == "9170503800"
    page.keys(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP)
    wait_for(lambda: focus() == "9170503801", "the second row")
    page.keys(Keys.END)
    wait_for(lambda: focus() == "9170503844", "the last row")
    page.keys(Keys.ARROW_UP, Keys.ENTER)
    page.wait_text("9170503843", ".unit h2")
    page.keys(Keys.HOME)
    wait_for(lambda: focus() == "9170503800", "the first row")
    page.keys(Keys.PAGE_DOWN, Keys.SPACE)
    wait_for(lambda: page.text(".unit h2") not in ("9170503843", ""), "another unit")
    # sorting, and the tabs of a unit
    page.script("document.querySelector('[data-sort=name]').focus()")
    page.keys(Keys.ENTER)
    wait_for(lambda: page.all('.c-name[aria-sort="ascending"]'), "sorted by name")
    page.keys(Keys.ENTER)
    wait_for(lambda: page.all('.c-name[aria-sort="descending"]'), "the other way")
    page.script("document.querySelector('[role=tab]').focus()")
    page.keys(Keys.ARROW_RIGHT)
    wait_for(lambda: page.all('[data-tab="frames"][aria-selected="true"]'), "the next tab")
    page.keys(Keys.ESCAPE)
    wait_for(lambda: not page.all(".unit"), "the end of the panel")
    for unit in units:
        unit.close()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_screen_reader_finds_its_way(site, open_page, dark):
    """axe-core says nothing serious of any view: names, roles, contrast."""
    axe = ROOT.parent / "work/node_modules/axe-core/axe.min.js"
    if not axe.is_file():
        pytest.skip("axe-core is not installed beside the page")
    page = open_page(dark=dark)
    code, found = axe.read_text(), []

    def judge(where):
        if not page.script("return typeof window.axe === 'object'"):
            page.script(code)
        result = page.driver.execute_async_script("""const done = arguments[arguments.length - 1];
            axe.run(document, {resultTypes: ["violations"]}).then((r) => done(r.violations.map((v) => [v.impact, v.id, v.nodes.map((n) => n.html.slice(0, 120) + " " + (n.any[0]?.message ?? ""))])), (e) => done([["critical", String(e), []]]))""")
        found.extend((where, *v) for v in result if v[0] in ("serious", "critical"))

    unit = Unit(site.bridge.port)
    page.open(site.url, None)
    page.find('input[name="username"]')
    judge("login")
    page.open(site.url, "dispatcher")
    wait_for(lambda: [unit.send(v1(IDENT, status="FFFFFBFD") + v1(IDENT, "123507")), page.all(f'[data-name="{IDENT}"]')][1], "the unit")
    for view in VIEWS:
        page.click(f'[data-view="{view}"]')
        page.find(f".view-{view}")
        judge(view)
    page.click(f'[data-name="{IDENT}"]')
    for tab in ("record", "frames", "commands"):
        page.click(f'[data-tab="{tab}"]')
        page.find(f'[data-tab="{tab}"][aria-selected="true"]')
        judge(tab)
    page.enter('select[name="command"]', "engine.stop")
    page.click('.commands button[type="submit"]')
    page.find('[role="alertdialog"]')
    judge("confirm")
    assert not found, found
    unit.close()
