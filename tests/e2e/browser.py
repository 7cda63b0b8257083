# SPDX-License-Identifier: MIT
"""A real Chromium without a window, driven by selenium; what went wrong in it is told. One browser for a module, a tab for each page."""

import json
import shutil

import pytest
from conftest import PATIENCE, free_port, wait_for
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-default-apps", "--no-proxy-server", "--disable-extensions", "--lang=en",
         "--force-color-profile=srgb", "--hide-scrollbars"]


def start_browser(directory, requests=True):
    """`requests`: what goes over the network is kept for Page.requests() and Page.frames_sent(); that costs more than a page does."""
    options = webdriver.ChromeOptions()
    for flag in [*FLAGS, f"--user-data-dir={directory}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", **({"performance": "ALL"} if requests else {})})
    binary = shutil.which("chromium")
    if binary:
        options.binary_location = binary
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"), port=free_port()))
    driver.set_page_load_timeout(PATIENCE)
    driver.set_script_timeout(PATIENCE)
    return driver


class Page:
    """A tab of its own: it knows nothing of what the pages before it kept."""

    def __init__(self, driver, size=(1280, 800), dark=False, touch=False, ratio=1):
        self.driver, self.said, self.before = driver, [], driver.current_window_handle
        for kind in driver.log_types:
            driver.get_log(kind)  # what came before is not this page's
        driver.switch_to.new_window("tab")
        self.cdp("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1], deviceScaleFactor=2 if touch else ratio, mobile=touch)
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=touch)
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def cdp(self, command, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)

    def open(self, url, user="viewer", password="secret"):
        self.driver.get(url)
        if user is None:
            return
        self.find('input[name="username"]').send_keys(user)
        self.find('input[name="password"]').send_keys(password)
        self.click('button[type="submit"]')

    def ready(self):
        """The broker has been asked for everything: what is said from now on is heard."""
        wait_for(lambda: self.script("return globalThis.__page?.ready"), "the page's subscriptions")

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def find(self, css):
        return wait_for(lambda: next(iter(self.all(css)), None), css)

    def click(self, css):
        """Elements are drawn anew now and then: it is looked for until the click has arrived."""
        def clicked():
            try:
                self.find(css).click()
                return True
            except WebDriverException:  # gone, or covered for a moment
                return False
        wait_for(clicked, f"a click on {css}")

    def touch(self, x, y):
        self.cdp("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.cdp("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def tap(self, css):
        """By a finger, in the middle of what is seen of the element; nothing may cover it there."""
        self.find(css)
        place = wait_for(lambda: self.script("""const e = document.querySelector(arguments[0]); if (!e) return null;
            e.scrollIntoView({block: "nearest", inline: "nearest"}); const b = e.getBoundingClientRect(), x = b.x + b.width / 2, y = b.y + b.height / 2;
            const top = document.elementFromPoint(x, y); return top && (e.contains(top) || top.contains(e)) ? [x, y] : null""", css), f"{css} uncovered")
        self.touch(*place)

    def enter(self, css, value):
        """As a person would: the element takes the value and says so."""
        self.find(css)
        self.script("""const e = document.querySelector(arguments[0]); e.value = arguments[1];
            e.dispatchEvent(new Event(e.tagName === "SELECT" ? "change" : "input", {bubbles: true}))""", css, value)

    def keys(self, *keys):
        for key in keys:
            self.driver.switch_to.active_element.send_keys(key)

    def text(self, css="body"):
        return self.script("const e = document.querySelector(arguments[0]); return e ? e.innerText : ''", css)

    def wait_text(self, part, css="body"):
        try:
            wait_for(lambda: part in self.text(css), f"{part!r} in {css}")
        except AssertionError as e:
            raise AssertionError(f"{e}; there is: {self.text(css)[:1000]!r}; the page: {self.text()[:600]!r}; {self.log()[-5:]}") from None

    def script(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def shown(self):
        """How many units are drawn on the map."""
        return int(self.script("return document.querySelector('.map')?.dataset.units ?? 0"))

    def log(self):
        """Everything that the console said."""
        self.said += self.driver.get_log("browser")
        return self.said

    def no_faults(self):
        bad = [e for e in self.log() if e["level"] in ("SEVERE", "WARNING") or "Content Security Policy" in e["message"]]
        assert not bad, bad

    def requests(self):
        out = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                out.append(message["params"]["request"]["url"])
            if message["method"] == "Network.webSocketCreated":
                out.append(message["params"]["url"])
        return out

    def frames_sent(self):
        """How many frames the page has sent to the broker, since it was last asked."""
        return sum(json.loads(e["message"])["message"]["method"] == "Network.webSocketFrameSent" for e in self.driver.get_log("performance"))

    def close(self):
        self.driver.close()
        self.driver.switch_to.window(self.before)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    driver = start_browser(tmp_path_factory.mktemp("browser"))
    yield driver
    driver.quit()


@pytest.fixture
def open_page(chromium):
    made = []

    def make(**kw):
        made.append(Page(chromium, **kw))
        return made[-1]

    yield make
    for page in reversed(made):
        page.close()
