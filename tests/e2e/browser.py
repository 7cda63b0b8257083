# SPDX-License-Identifier: MIT
"""A real Chromium without a window, driven by selenium; what went wrong in it is told."""

import json
import os
import shutil

import pytest
from conftest import PATIENCE, free_port, wait_for
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--disable-default-apps", "--no-proxy-server", "--disable-extensions", "--lang=en"]


class Page:
    def __init__(self, directory, size=(1280, 800), dark=False, touch=False):
        options = webdriver.ChromeOptions()
        for flag in [*FLAGS, f"--window-size={size[0]},{size[1]}", f"--user-data-dir={directory}"]:
            options.add_argument(flag)
        if dark:
            options.add_argument("--force-dark-mode")
        if touch:
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": {"width": size[0], "height": size[1], "pixelRatio": 2, "touch": True}})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        binary = shutil.which("chromium")
        if binary:
            options.binary_location = binary
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver"), port=free_port()))
        self.driver.set_page_load_timeout(PATIENCE)
        if dark:
            self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
        self.said = []

    def open(self, url, user="viewer", password="secret"):
        self.driver.get(url)
        if user is None:
            return
        self.find('input[name="username"]').send_keys(user)
        self.find('input[name="password"]').send_keys(password)
        self.click('button[type="submit"]')

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
            except Exception:  # noqa: BLE001 (gone, or covered for a moment)
                return False
        wait_for(clicked, f"a click on {css}")

    def enter(self, css, value):
        """As a person would: the element takes the value and says so."""
        self.find(css)
        self.script("""const e = document.querySelector(arguments[0]); e.value = arguments[1];
            e.dispatchEvent(new Event(e.tagName === "SELECT" ? "change" : "input", {bubbles: true}))""", css, value)

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

    def requests(self):
        out = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                out.append(message["params"]["request"]["url"])
            if message["method"] == "Network.webSocketCreated":
                out.append(message["params"]["url"])
        return out

    def close(self):
        self.driver.quit()


@pytest.fixture
def open_page(tmp_path):
    made = []

    def make(**kw):
        directory = tmp_path / f"browser{len(made)}"
        os.mkdir(directory)
        made.append(Page(directory, **kw))
        return made[-1]

    yield make
    for page in made:
        page.close()
