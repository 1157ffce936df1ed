"""Takes the README's picture from the sample's real pages: run `make report` first, then `python docs/take_picture.py`."""

import shutil
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

PROJECT = Path(__file__).parents[1]
PAGE = PROJECT / "reports" / "sample" / "03_train.html"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu"]


def main() -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 960, "height": 700})
        page.goto(PAGE.as_uri())
        parts = [page.screenshot(clip={"x": 0, "y": 0, "width": 960, "height": 470})]
        page.get_by_role("heading", name="The test").scroll_into_view_if_needed()
        top = page.evaluate(
            "[...document.querySelectorAll('h2')].find(h => h.textContent.trim() == 'The test').offsetTop"
        )
        parts.append(
            page.screenshot(full_page=True, clip={"x": 0, "y": top - 10, "width": 960, "height": 560})
        )
        browser.close()
    pictures = [Image.open(BytesIO(part)).convert("RGB") for part in parts]
    whole = Image.new("RGB", (960, sum(picture.height for picture in pictures)), "white")
    for i, picture in enumerate(pictures):
        whole.paste(picture, (0, sum(before.height for before in pictures[:i])))
    whole.quantize(128).save(PROJECT / "docs" / "report.png", optimize=True)


if __name__ == "__main__":
    main()
