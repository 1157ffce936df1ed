"""Takes the README's picture from the sample's real pages: run `make report` first, then `python docs/take_picture.py`.

On the left the run's first page, on the right the matrix and filters of notebook 04 and a row of notebook 05.
"""

import shutil
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

PROJECT = Path(__file__).parents[1]
RUN = PROJECT / "reports" / "sample"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]
WIDTH, HEIGHT, GAP, EDGE = 1600, 1080, 24, "#c9cdd6"


def main() -> None:
    half = (WIDTH - 3 * GAP) // 2
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1040, "height": 900}, device_scale_factor=1.5)
        first = _part(page, "index.html", "h1", 1040 * (HEIGHT - 2 * GAP) // half)
        page.set_viewport_size({"width": 940, "height": 900})
        share = 940 * (HEIGHT - 3 * GAP) // (2 * half)
        others = [
            _part(page, "04_error_analysis.html", ".fb-twin", share),
            _part(page, "05_inspect.html", "#One-row\\,-as-the-chosen-model-sees-it", share),
        ]
        browser.close()
    whole = Image.new("RGB", (WIDTH, HEIGHT), "white")
    _paste(whole, first, GAP, GAP, half, HEIGHT - 2 * GAP)
    height = (HEIGHT - 3 * GAP) // 2
    for i, picture in enumerate(others):
        _paste(whole, picture, 2 * GAP + half, GAP + i * (height + GAP), half, height)
    whole.quantize(160).save(PROJECT / "docs" / "report.png", optimize=True)


def _part(page: Page, name: str, place: str, height: int) -> Image.Image:
    """The page ``name`` from the element ``place`` on, ``height`` pixels of it."""
    page.goto((RUN / name).as_uri())
    top = page.locator(place).first.bounding_box()["y"] - 16
    width = page.viewport_size["width"]
    data = page.screenshot(full_page=True, clip={"x": 0, "y": top, "width": width, "height": height})
    return Image.open(BytesIO(data)).convert("RGB")


def _paste(whole: Image.Image, picture: Image.Image, left: int, top: int, width: int, height: int) -> None:
    whole.paste(EDGE, (left - 1, top - 1, left + width + 1, top + height + 1))
    whole.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (left, top))


if __name__ == "__main__":
    main()
