"""Takes the pictures of the report in docs/figures.

Run as ``python docs/screenshots.py report/index.html`` after ``make report``; needs what ``make test`` installs and a
Chromium of the system.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

FIGURES = Path(__file__).with_name("figures")
#: File → width and height of the window, colour scheme, what is scrolled to the top of it.
SHOTS: dict[str, tuple[int, int, str, str]] = {
    "report.webp": (1400, 1000, "light", "h1"),
    "report-explorer.webp": (1400, 1100, "light", "#explorer"),
    "report-phone.webp": (390, 844, "dark", "#explorer figure"),
}


def main(page: Path) -> None:
    """Write every picture, each below 300 kB."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        raise SystemExit("no Chromium found")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for name, (width, height, scheme, place) in SHOTS.items():
            view = chromium.new_page(
                viewport={"width": width, "height": height},
                color_scheme="dark" if scheme == "dark" else "light",
                device_scale_factor=2 if width < 600 else 1,
            )
            view.set_default_timeout(240_000)  # a busy machine
            view.goto(page.resolve().as_uri())
            view.wait_for_selector("#explorer-plot text")
            view.add_style_tag(content="html { scroll-behavior: auto !important; }")
            view.evaluate("place => document.querySelector(place).scrollIntoView()", place)
            view.wait_for_timeout(300)
            picture = Image.open(io.BytesIO(view.screenshot()))
            picture.save(FIGURES / name, quality=82, method=6)
            print(f"{FIGURES / name}: {(FIGURES / name).stat().st_size / 1000:.0f} kB")
            view.close()
        chromium.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "report/index.html"))
