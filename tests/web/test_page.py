"""The status page in a real Chromium, over a real daemon."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, Page

from parts import shop
from parts.chromium import chromium, watched
from parts.command import Signals
from parts.daemon import Daemon, until

IMAGES = Path(__file__).parents[2] / "docs" / "_static"
MOST_BYTES = 150_000
SETTLED = ("1 window missing", " skipped<", "sink vector fails since")
WRITES = "SIGNALS_WRITE_DOCS" in os.environ


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon in trouble: a window that fails, others skipped, a sink down, a mistake."""
    folder = shop.project(tmp_path_factory.mktemp("page") / "broken", shop.WELL, shop.BROKEN)
    with Daemon(folder, "--listen", "127.0.0.1:0") as daemon:
        until(lambda: is_settled(daemon.get("/")[1], *SETTLED))
        yield daemon


def is_settled(page: str, *texts: str) -> bool:
    """Whether a page shows all of this, and every collector has read what it can."""
    waits = any(text in page for text in ("no run yet", "windows missing", "being made up"))
    return not waits and all(text in page for text in texts)


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> Any:
    return request.param


def origin(daemon: Daemon) -> str:
    return f"http://127.0.0.1:{daemon.port}"


@pytest.fixture
def page(browser: Browser, broken: Daemon) -> Iterator[Page]:
    """The overview of the broken daemon."""
    with watched(browser, origin(broken), base_url=origin(broken)) as opened:
        opened.goto("/")
        yield opened


def test_what_is_missing_and_why(page: Page) -> None:
    """From the page alone one can say which window is missing, why, and what to do."""
    troubles = page.get_by_role("list").first.get_by_role("listitem")
    said = troubles.all_inner_texts()
    day = shop.day(shop.FAILED_DAY)

    (failed,) = [text for text in said if f"{shop.FAILING}: window {day}T00:00:00Z/" in text]
    assert "JSON path" in failed
    assert "once it is mended it is made up by itself" in failed
    (down,) = [text for text in said if "sink vector fails since" in text]
    assert "metrics wait for it: POST http://127.0.0.1:9/metrics: connection refused" in down
    assert "it is tried again by itself" in down
    (skipped,) = [text for text in said if f"{shop.SKIPPED}: " in text]
    assert f"`signals backfill {shop.SKIPPED} --start".strip("`") in skipped
    (invalid,) = [text for text in said if "schedul: is no known key" in text]
    assert "did you mean schedule?" in invalid

    page.get_by_role("link", name=f"more of {shop.FAILING}").click()
    missing = page.get_by_role("group", name="Windows that are missing")
    (row,) = missing.get_by_role("row").all_inner_texts()[1:]
    assert row.startswith(day)
    assert "JSON path" in row


def test_one_thing_has_one_wording(broken: Daemon, signals: Signals, page: Page) -> None:
    """The page says in the same words what `signals status` says."""
    folder = broken.stderr.with_name("broken")

    def same() -> bool:
        status = json.loads(signals("status", "--json", cwd=folder).stdout)
        page.reload()
        shown = page.inner_text("main").replace("\n", " ")
        remarks = [remark for each in status["collectors"] for remark in each["remarks"]]
        assert len(remarks) == 3
        return all(" ".join(remark.replace("`", "").split()) in shown for remark in remarks)

    until(same)


def test_what_is_hostile_stays_text(page: Page) -> None:
    """A tag, an owner and a reason full of markup are text."""
    assert page.get_by_text(shop.HOSTILE).count() >= 3  # an owner, a reason, three tags
    page.goto(f"/collectors/{shop.FAILING}")
    assert page.get_by_text(shop.HOSTILE).count() >= 5
    assert page.locator("script").count() == 0
    page.get_by_role("link", name="explain").first.click()
    assert shop.HOSTILE in page.inner_text("main")
    assert page.locator("script").count() == 0


def paths(page: Page) -> list[str]:
    """One page of each kind."""
    page.goto(f"/collectors/{shop.FAILING}")
    explained = page.get_by_role("link", name="explain").first.get_attribute("href")
    assert explained
    names = (shop.FAILING, shop.DOUBLE, shop.LEVEL, shop.SKIPPED, shop.INVALID)
    return ["/", *(f"/collectors/{name}" for name in names), explained]


def test_narrow_screens(page: Page) -> None:
    """Nothing is wider than a telephone, except what scrolls by itself."""
    page.set_viewport_size({"width": 360, "height": 740})
    for path in paths(page):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth") == 360, path


def test_accessible(browser: Browser, broken: Daemon, scheme: Any) -> None:
    """Axe finds no fault, in light and in dark, contrast included."""
    with watched(browser, origin(broken), base_url=origin(broken), color_scheme=scheme) as page:
        back = {"light": "rgb(255, 255, 255)", "dark": "rgb(16, 21, 27)"}[scheme]
        for path in paths(page):
            page.goto(path)
            found = Axe().run(page)
            assert found.violations_count == 0, found.generate_report()
            color = "getComputedStyle(document.body).backgroundColor"
            assert page.evaluate(color) == back


def test_keyboard(page: Page) -> None:
    """Tab goes through the links in the order in which they are read, the content in one step."""
    page.keyboard.press("Tab")
    focused = page.locator(":focus")
    assert focused.inner_text() == "To the content"
    assert focused.bounding_box()["x"] >= 0  # type: ignore[index] # it is seen while it has focus
    expected = page.locator("a, [tabindex='0']").evaluate_all("all => all.map(e => e.textContent)")
    reached = []
    for _ in expected:
        reached.append(page.locator(":focus").text_content())
        assert page.locator(":focus").evaluate("e => getComputedStyle(e).outlineStyle") != "none"
        page.keyboard.press("Tab")
    assert reached == expected
    page.locator(".skip").focus()
    page.keyboard.press("Enter")
    assert page.locator(":focus").get_attribute("id") == "main"


def test_without_scripts(browser: Browser, broken: Daemon) -> None:
    """Everything is there without JavaScript."""
    with watched(browser, origin(broken), java_script_enabled=False) as page:
        page.goto(origin(broken))
        page.get_by_role("link", name=shop.DOUBLE, exact=True).click()
        assert page.get_by_role("heading", level=1).inner_text().startswith(shop.DOUBLE)
        assert page.get_by_role("img", name="billing.cost over time").is_visible()


def test_a_strip_tells_without_colour(page: Page) -> None:
    """Each kind of mark has a shape of its own, and a strip says in words what it shows."""
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name=shop.FAILING))
    strip = row.get_by_role("img")
    assert strip.get_attribute("aria-label") == "last 24 windows: 23 read, 1 failed"
    shapes = page.locator(".legend path").evaluate_all("all => all.map(e => e.getAttribute('d'))")
    assert len(shapes) == len(set(shapes)) == 5


def test_every_so_often(page: Page) -> None:
    """A page shows itself anew only when it is asked to."""
    assert page.locator("meta[http-equiv=refresh]").count() == 0
    page.get_by_role("link", name="every 30 s").click()
    assert page.locator("meta[http-equiv=refresh]").get_attribute("content") == "30"
    page.get_by_role("link", name="stop").click()
    assert page.locator("meta[http-equiv=refresh]").count() == 0


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that is well and has run for a while."""
    folder = shop.project(tmp_path_factory.mktemp("page") / "busy", shop.WELL)
    runs = "last 30 runs" if WRITES else "last 3 runs"
    with Daemon(folder, "--listen", "127.0.0.1:0") as daemon:
        until(lambda: is_settled(daemon.get("/")[1], "All is well", runs))
        yield daemon


@pytest.fixture
def begun(tmp_path: Path) -> Iterator[Daemon]:
    """A daemon that has just begun, and read nothing."""
    folder = shop.project(tmp_path / "begun", shop.BEGUN)
    with Daemon(folder, "--listen", "127.0.0.1:0") as daemon:
        until(lambda: "Nothing has run yet" in daemon.get("/")[1])
        yield daemon


@pytest.mark.parametrize(
    ("state", "path", "name"),
    [
        ("broken", "/", "broken"),
        ("busy", "/", "busy"),
        ("busy", f"/collectors/{shop.DOUBLE}", "collector"),
        ("begun", "/", "begun"),
    ],
)
def test_pictures(
    browser: Browser, request: pytest.FixtureRequest, state: str, path: str, name: str
) -> None:
    """The pictures of the documentation are of daemons that run."""
    daemon = request.getfixturevalue(state)
    options: Any = {"color_scheme": "light", "viewport": {"width": 1040, "height": 400}}
    with watched(browser, origin(daemon), **options) as page:
        page.goto(f"{origin(daemon)}{path}")
        taken = page.screenshot(full_page=True)
    picture = IMAGES / f"status-{name}.png"
    if WRITES:
        picture.write_bytes(smaller(taken))
    assert picture.stat().st_size < MOST_BYTES


def smaller(png: bytes) -> bytes:
    """Return a picture with 128 colours, a third as large."""
    out = BytesIO()
    whole = Image.open(BytesIO(png)).convert("RGB")
    whole.quantize(128, Image.Quantize.MAXCOVERAGE).save(out, "png", optimize=True)
    return out.getvalue()
