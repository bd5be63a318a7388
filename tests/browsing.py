"""A real browser for tests of pages: opening them, and what is asked of each."""

import shutil

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


def open_page(browser, url, *, width=1280, theme="light"):
    """Open a page that remembers its requests and the console's messages."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=theme)
    page.requests, page.messages = [], []
    page.on("request", lambda request: page.requests.append(request.url))
    page.on("console", lambda message: page.messages.append((message.type, message.text)))
    page.on("pageerror", lambda error: page.messages.append(("error", str(error))))
    page.goto(url, wait_until="load")
    page.wait_for_timeout(250)
    return page


def complaints(page):
    """Return the errors and warnings that a page wrote to the console."""
    return [text for kind, text in page.messages if kind in ("error", "warning")]


def others(requests, address):
    """Return the requests that left the site."""
    return [url for url in requests if not url.startswith((address, "data:", "blob:"))]


def images(page):
    """Return alternative text, and whether it was loaded, of every image of a page."""
    return page.evaluate("[...document.images].map(i => [i.alt, i.complete && i.naturalWidth > 0])")


def page_width(page):
    """Return how wide a page is, sideways scroll included, in CSS pixels."""
    return page.evaluate("document.documentElement.scrollWidth")


def serious(page):
    """Return what axe-core finds to be a serious or critical barrier."""
    from axe_playwright_python.sync_playwright import Axe

    return [
        (one["id"], node["html"][:160])
        for one in Axe().run(page).response["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
