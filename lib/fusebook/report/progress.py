"""What the person sees in the terminal while notebooks run: one line a notebook, and where the time went."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from fusebook.runs import harmless

_MARKS = {"fresh": "unchanged", "done": "done", "failed": "failed", "waiting": "waits", "skipped": "not run"}


def _line_table(steps: dict) -> Table:
    table = Table.grid(padding=(0, 2))
    for step in steps.values():
        running = step.status in {"running", "exporting"}
        seconds = time.monotonic() - step.started if running else sum(step.seconds.values())
        state = f"{step.done}/{step.cells} cells" if running else _MARKS[step.status]
        error = Text(harmless(step.error.split("\n")[0][:80]))  # no markup: [/x] may stand in it
        table.add_row(step.name, state, f"{seconds:5.1f} s" if seconds else "", error)
    return table


@contextmanager
def live_lines() -> Iterator[Callable[[dict], None]]:
    """Give a function that shows all steps: redrawn in place on a terminal, one line a change elsewhere."""
    console = Console(stderr=True)
    if console.is_terminal:
        with Live(console=console, refresh_per_second=5) as live:
            yield lambda steps: live.update(_line_table(steps))
        return
    shown: dict[str, str] = {}

    def print_changes(steps: dict) -> None:
        for step in steps.values():
            if step.status != shown.get(step.name) and step.status not in {"waiting", "exporting"}:
                shown[step.name] = step.status
                seconds = sum(step.seconds.values())
                console.print(
                    f"{step.name}: {_MARKS.get(step.status, 'runs')}" + (f", {seconds:.1f} s" if seconds else "")
                )

    yield print_changes


def print_times(steps: dict, wall: float) -> None:
    """A table of seconds by notebook and kind, and the ratio of the whole to the notebooks' own work."""
    ran = [step for step in steps.values() if step.status == "done"]
    if not ran:
        Console(stderr=True).print("Nothing has changed since the last run; no notebook was executed.")
        return
    table = Table("notebook", "kernel start", "imports", "work", "export", title="seconds")
    for step in ran:
        table.add_row(step.name, *(f"{step.seconds[part]:.1f}" for part in ("start", "imports", "work", "export")))
    work = sum(step.seconds["imports"] + step.seconds["work"] for step in ran)
    Console(stderr=True).print(table)
    Console(stderr=True).print(f"{wall:.1f} s in all, {wall / work:.2f} times the notebooks' own imports and work")
