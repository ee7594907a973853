"""Reports in Chromium: none is wider than a phone, axe finds nothing in light and dark, all of it is printed.

Needs Playwright with Chromium, and axe (the extra `peers`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from accessibility import check_file
from review.browser.served import SLOW
from run_here import run_here
from tiny_dataset import write_config, write_msd

from medseg.engine.batch_report import render_report
from medseg.types.class_values import ClassValues
from medseg.types.run import BatchResult, CaseOutcome, ClassVolume, Volumes

pytestmark = [pytest.mark.peers, pytest.mark.timeout(900)]
REPORTS = {
    "batch": "results/report.html",
    "evaluation": "evaluation/report.html",
    "audit": "audit/audit.html",
    "training": "run/report.html",
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each report of a small model, with a scan that cannot be read and a case without label."""
    here = tmp_path_factory.mktemp("reports")
    write_msd(here / "data")
    write_config(here / "recipe.yaml", iterations_per_epoch=2, epochs=2, limits=["Balls only."])
    scans, labels = here / "data" / "imagesTr", here / "data" / "labelsTr"
    trained = ("train", here / "data", "--config", here / "recipe.yaml", "--out", here / "run", "--device", "cpu")
    assert run_here(*trained).returncode == 0
    (scans / "case_01.nii.gz").write_bytes((scans / "case_01.nii.gz").read_bytes()[:2000])
    assert run_here("predict", scans, "--model", here / "run" / "model", "--out", here / "results").returncode == 3
    assert run_here("evaluate", here / "results", labels, "--out", here / "evaluation").returncode == 3
    assert run_here("audit", here / "data", "--out", here / "audit").returncode == 3
    return here


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", REPORTS)
def test_axe_finds_nothing(reports: Path, browser: Any, kind: str, scheme: str) -> None:
    check_file(browser, reports / REPORTS[kind], {"width": 390, "height": 844}, scheme)


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("kind", REPORTS)
def test_nothing_is_wider_than_the_screen(reports: Path, browser: Any, kind: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text))
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto((reports / REPORTS[kind]).as_uri(), timeout=SLOW)
    wide = page.evaluate("document.documentElement.scrollWidth")
    parts = page.locator("nav.contents a").count()
    context.close()
    assert wide <= width
    assert parts >= 2
    assert not faults


def test_a_table_sorts_by_the_keyboard_and_keys_go_through_the_parts(reports: Path, browser: Any) -> None:
    page = browser.new_page()
    page.goto((reports / REPORTS["training"]).as_uri(), timeout=SLOW)
    table = page.locator("table", has_text="case_").first
    heading = table.locator("th", has_text="bright")
    heading.press("Enter")
    values = [float(text) for text in table.locator("td:nth-child(2)").all_inner_texts()]
    assert len(values) == 2
    assert values == sorted(values)
    assert heading.get_attribute("aria-sort") == "ascending"
    page.keyboard.press("n")
    assert page.evaluate("document.activeElement.tagName") == "H2"
    page.close()


@pytest.mark.parametrize("kind", REPORTS)
def test_what_is_printed_is_dark_on_white_and_fits_and_is_open(reports: Path, browser: Any, kind: str) -> None:
    context = browser.new_context(viewport={"width": 700, "height": 900}, color_scheme="dark")
    page = context.new_page()
    page.goto((reports / REPORTS[kind]).as_uri(), timeout=SLOW)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    shown = page.evaluate(
        """() => {
          const style = getComputedStyle(document.body);
          const empty = [...document.querySelectorAll("h2")].filter(
            (one) => one.checkVisibility() && !(one.nextElementSibling && one.nextElementSibling.checkVisibility()));
          const closed = [...document.querySelectorAll("details")].filter((one) => one.checkVisibility() && !one.open);
          const width = document.documentElement.scrollWidth;
          return [style.color, style.backgroundColor, empty.length, closed.length, width];
        }"""
    )
    context.close()
    assert shown == ["rgb(0, 0, 0)", "rgb(255, 255, 255)", 0, 0, 700]


def test_a_page_of_500_measured_cases_is_laid_out_at_once(browser: Any, tmp_path: Path) -> None:
    measured = ClassVolume("ball", 800, 1.53, values=(ClassValues(102.4, 98.7, 21.3, 40.0, 180.0, 61.2, 141.9),))
    volumes = Volumes((measured, replace(measured, class_name="box")))
    cases = tuple(CaseOutcome(f"c{n}", "done", f"c{n}.nii", volumes=volumes, outputs=("a.nii",)) for n in range(500))
    file = tmp_path / "report.html"
    file.write_text(render_report(BatchResult(tmp_path, cases)))
    assert file.read_text().count("<tr>") == 2001
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    page.goto(file.as_uri(), timeout=SLOW)
    page.evaluate("() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 0)))")
    spent = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    page.close()
    assert spent["LayoutDuration"] + spent["RecalcStyleDuration"] < 0.8
