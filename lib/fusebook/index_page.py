"""The first page of a run: index.html."""

from pathlib import Path

import nbformat
from jinja2 import Environment, FileSystemLoader

from fusebook import pages, runs


def write_index(run: Path, steps: dict) -> Path:
    """Write the run's first page: headline, findings, links, times. Returns its path."""
    record = runs.read_json(run / "run.json")
    shown = []
    for name, step in steps.items():
        page = run / f"{name}.html"
        if page.exists():
            notebook = nbformat.read(step.path, as_version=4)
            lines = [line for line in notebook.cells[0].source.split("\n")[1:] if line.strip()]
            facts = record["steps"].get(name, {})
            shown.append({
                "name": name, "title": pages.page_title(notebook), "question": lines[0] if lines else "",
                "findings": [found["text"] for found in runs.read_findings(run, name)], "seconds": facts.get("seconds", {}),
                "peak_memory_mb": facts.get("peak_memory_mb", 0), "kilobytes": round(page.stat().st_size / 1000),
            })  # fmt: skip
    # The theory comes after what was found in the person's table.
    shown.sort(key=lambda page: page["name"].startswith("00"))
    metrics = run / "artifacts" / "metrics.json"
    headline = runs.read_json(metrics)["headline"] if metrics.exists() else None
    failed = next((step.error for step in steps.values() if step.status == "failed"), "")
    template = Environment(loader=FileSystemLoader(pages.TEMPLATES), autoescape=True).get_template(
        "run.html.j2"
    )
    html = template.render(run=run.name, style=pages.page_style(), headline=headline and {"text": headline}, pages=shown,
                           record=record, failed=failed)  # fmt: skip
    with runs.replacing(run / "index.html") as beside:
        beside.write_text(pages.with_font(html), encoding="utf-8")
    return run / "index.html"
