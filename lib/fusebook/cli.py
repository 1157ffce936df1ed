"""The command `fusebook`: a light wrapper that reads options, calls the library and prints."""

import os
import sys
import time
from pathlib import Path

import click


class _Told(click.Group):
    """Commands whose errors are a sentence, without a traceback, and harmless to the terminal."""

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            from fusebook.runs import harmless

            error.message = harmless(error.message)
            raise
        except BrokenPipeError:
            raise
        except (OSError, ValueError) as error:
            from fusebook import runs

            said = runs.explained(error) if isinstance(error, OSError) else str(error)
            raise click.ClickException(runs.harmless(said)) from error


@click.group(cls=_Told, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="fusebook")
def main() -> None:
    """One labelled table in (text, and perhaps pictures and sounds), classifiers and an honest report out."""


@main.command()
@click.option(
    "--table", type=click.Path(), help="Your table: CSV, TSV, JSONL or Parquet. Default: the embedded sample."
)
@click.option("--text", default="", help="Column with the text.")
@click.option("--label", default="", help="Column with the label.")
@click.option("--image", default="", help="Column with paths to pictures, relative to the table's folder.")
@click.option("--audio", default="", help="Column with paths to sounds, relative to the table's folder.")
@click.option(
    "--new", "new_table", type=click.Path(), default="", help="A table without labels to predict in 06_predict."
)
@click.option("--merge-labels", type=click.Path(), default="",
              help="A list of labels to merge (CSV with the columns from and to), such as a run's label_twins.csv.")  # fmt: skip
@click.option("--run", type=click.Path(), help="Folder of the run. Default: reports/ and the table's name.")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="NAME VALUE",
              help="A notebook's parameter, as often as needed; `fusebook parameters` lists them.")  # fmt: skip
@click.option("--force", is_flag=True, help="Run every notebook, also those whose input did not change.")
@click.option("--jobs", default=2, show_default=True, help="Notebooks at a time, where their order allows.")
def report(table, text, label, image, audio, new_table, merge_labels, run, parameters, force, jobs) -> None:
    """Run all notebooks on a table and write the pages.

    Without options it runs the embedded sample. With your own table:

        fusebook report --table my.csv --text title --label topic

    A second call runs only the notebooks whose cells, parameters or input have changed.
    """
    from fusebook import runs

    values = dict(parameters)
    if merge_labels:
        values["merge_labels"] = str(runs.resolve(merge_labels))
        if not Path(values["merge_labels"]).is_file():
            raise click.UsageError(f"No list of labels to merge at {merge_labels}. Pass the path of a CSV.")
    if table:
        if not (text or image or audio) or not label:
            raise click.UsageError(
                "With --table name the columns: --label and at least one of --text, --image, --audio."
            )
        new_table = str(Path(new_table).absolute()) if new_table else ""
        values |= {"table": str(Path(table).absolute()), "new_table": new_table}
        values |= {"text": text, "label": label, "image": image, "audio": audio}
        if not Path(table).is_file():
            raise click.UsageError(f"No table at {table}. Pass the path of a CSV, TSV, JSONL or Parquet file.")
    elif text or label or image or audio or new_table:
        raise click.UsageError("Columns and --new go with --table; the sample has its own.")
    folder = runs.resolve(run) if run else runs.resolve("reports") / ("sample" if not table else Path(table).stem)
    _report(folder, values, force, jobs)


def _report(folder: Path, values: dict, force: bool, jobs: int) -> None:
    from fusebook.report import progress, runner

    start = time.monotonic()

    def export(run: Path, step) -> None:
        from fusebook.report import pages

        pages.export_page(run, step)

    try:
        with progress.live_lines() as watch:
            steps = runner.run_notebooks(folder, values, export=export, watch=watch, force=force, side_by_side=jobs)
        failure = None
    except runner.NotebookFailed as error:
        failure, steps = str(error), error.steps
    except KeyboardInterrupt:
        click.echo("Stopped. What is done stays; the same command goes on from there.", err=True)
        os._exit(130)  # the thread that waits for a kernel just killed can't be joined
    from fusebook.report.index import write_index

    index = write_index(folder, steps)
    if failure:
        raise click.ClickException(f"{failure}\nThe pages done so far: {index}")
    progress.print_times(steps, time.monotonic() - start)
    click.echo(index)


@main.command()
@click.option(
    "--bundle", required=True, type=click.Path(), help="The bundle folder of a finished run: reports/<run>/bundle."
)
@click.option("--table", required=True, type=click.Path(), help="The table to predict: CSV, TSV, JSONL or Parquet.")
@click.option(
    "--output", required=True, type=click.Path(), help="The CSV to write; an existing file is not overwritten."
)
@click.option("--text", default="", help="Column with the text.")
@click.option("--image", default="", help="Column with paths to pictures, relative to the table's folder.")
@click.option("--audio", default="", help="Column with paths to sounds, relative to the table's folder.")
@click.option("--model", default="", help="The model that answers. Default: the one that the run chose.")
@click.option("--keep-formulas", is_flag=True,
              help="Write texts that begin with = + - @, a tab or a line end as they are. By default a ' goes before "
              "them, so that a spreadsheet doesn't run them as formulas.")  # fmt: skip
def predict(bundle, table, output, text, image, audio, model, keep_formulas) -> None:
    """Predict the rows of a new table: class, class id and probabilities as CSV.

    Rows that can't be read stand in their place without an answer, with the codes of why in the column reason.
    """
    from fusebook.models.bundle import Bundle
    from fusebook.runs import harmless

    if Path(output).exists():
        raise click.ClickException(f"{output} is there already. Name another file, or move it away.")
    _check_writable(Path(output))
    columns = {"text": text, "image": image, "audio": audio}
    try:
        answers = Bundle(bundle).answer(table, columns=columns, model=model)
        answers.save(output, keep_formulas=keep_formulas)
    except (ValueError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from error
    for line in answers.rejected.itertuples():
        click.echo(harmless(f"row {line.row}: {line.part} refused, {line.reason} {line.detail}"), err=True)
    refused = answers.n_unanswered
    click.echo(f"{output}: {len(answers.table)} rows predicted" + (f", {refused} refused" if refused else ""))


def _check_writable(path: Path) -> None:
    """Raise ClickException where no file can be made at ``path``, before the work is done."""
    folder = next(above for above in path.absolute().parents if above.exists())
    if not folder.is_dir():
        raise click.ClickException(f"{path} can't be written: {folder} is a file. Name a path in a folder.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise click.ClickException(f"{path} can't be written: {folder} gives no right to. Name another folder.")


@main.command()
@click.argument("compared", nargs=-1, metavar="RUN RUN ...")
@click.option("--output", type=click.Path(), default="", help="The page. Default: compare.html beside the first RUN.")
@click.option(
    "--cards",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    help="Rows fixed, and as many broken, to show.",
)
def compare(compared, output, cards) -> None:
    """Compare finished runs on one page: the first against each other one, on the test rows that all have."""
    from fusebook.report.compare import write_comparison

    if len(compared) < 2:
        raise click.UsageError(f"{len(compared)} RUN given; name two or more: fusebook compare reports/a reports/b")
    try:
        path, verdicts, replaced = write_comparison(compared, output, cards)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo("\n".join(verdicts))
    click.echo(f"{path}{' (an earlier page of comparison was replaced)' if replaced else ''}")


@main.command()
def parameters() -> None:
    """List every notebook's parameters with default and meaning."""
    from fusebook.report.steps import find_notebooks, read_steps

    for step in read_steps(find_notebooks()).values():
        click.echo(f"\n{step.name}")
        for name, facts in step.known.items():
            click.echo(f"  {name} = {facts['default']}  {facts['help']}")


@main.command()
@click.argument("name", default="")
@click.option(
    "--from",
    "copy",
    type=click.Path(),
    help="A folder that holds the set's files or archives already; nothing is downloaded.",
)
@click.option("--to", type=click.Path(), default="data/raw", show_default=True, help="Where NAME/ is written.")
def fetch(name, copy, to) -> None:
    """Get a well-known set as one table, with its terms and checked counts. Without NAME: list the sets."""
    from fusebook import runs
    from fusebook.data import known_sets
    from fusebook.data.fetch import describe, fetch_dataset

    known = known_sets.read_facts()
    if not name:
        click.echo("\n".join(f"{name:18} {facts['title']}" for name, facts in known.items()))
        return
    if name not in known:
        raise click.UsageError(f"No set is named {name!r}. Known are {', '.join(known)}.")
    try:
        result = fetch_dataset(name, known[name], runs.resolve(to), copy=copy)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(describe(known[name], result))


if __name__ == "__main__":
    sys.exit(main())
