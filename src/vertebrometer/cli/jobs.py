"""``vertebrometer jobs``: what a DICOM node has done and has yet to do."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from vertebrometer.listener import NodeSettings
    from vertebrometer.store import JobLine, Store

app = typer.Typer(help="Look at the films of a DICOM node (needs the extra `pacs`).", no_args_is_help=True)

Config = Annotated[
    Path, typer.Option(exists=True, dir_okay=False, metavar="NODE.toml", help="Settings of the node.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Numbers = Annotated[list[int] | None, typer.Argument(metavar="[JOB]...", help="Numbers of jobs.")]


@app.command("list")
def list_jobs(
    config: Config,
    state: Annotated[
        Literal["waiting", "running", "measured", "not_measured", "failed"] | None,
        typer.Option(help="Only jobs in this state."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most, the newest first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first."""
    from vertebrometer.store import JobState

    _, store = _opened(config)
    lines = store.jobs.lines(state=JobState(state) if state else None, limit=limit)
    counts = store.jobs.counts()
    store.close()
    if as_json:
        typer.echo(json.dumps([_plain(line) for line in lines], indent=1))
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE)
    for heading in ("job", "received", "from", "state", "reason", "tries", "results"):
        table.add_column(heading)
    for line in lines:
        sent = ", ".join(f"{count} {name}" for name, count in sorted(line.deliveries.items()))
        table.add_row(
            str(line.job_id),
            _when(line.received_at),
            line.source,
            line.state.value.replace("_", " "),
            (line.reason or "").replace("_", " "),
            str(line.tries),
            sent + (" (files deleted)" if line.purged else ""),
        )
    console = Console()
    console.print(table)
    console.print(", ".join(f"{count} {name.value.replace('_', ' ')}" for name, count in counts.items()))


@app.command("show")
def show(
    job: Annotated[int, typer.Argument(help="Number of the job.")], config: Config, as_json: AsJson = False
) -> None:
    """Show one job with its deliveries, its audit trail and what was measured."""
    _, store = _opened(config)
    line = _one(store, job)
    deliveries, report = store.deliveries.lines(line.film_id), store.films.report(line.film_id)
    trail = list(store.audit.entries(film_id=line.film_id))
    store.close()
    if as_json:
        whole = _plain(line) | {
            "sent": [
                dict(zip(("kind", "destination", "state", "tries", "error"), d, strict=True))
                for d in deliveries
            ],
            "audit": [{"at": _when(e.at), "node": e.node, "event": e.event, **e.detail} for e in trail],
            "report": json.loads(report) if report else None,
        }
        typer.echo(json.dumps(whole, indent=1))
        return
    typer.echo(f"job {line.job_id}: {line.state.value.replace('_', ' ')}")
    typer.echo(f"received {_when(line.received_at)} from {line.source}")
    if line.reason:
        typer.echo(f"reason: {line.reason.replace('_', ' ')}; {line.message or ''}".rstrip("; "))
    for kind, destination, state, tries, error in deliveries:
        typer.echo(
            f"{kind} to {destination}: {state}, {tries} tries" + (f", last error: {error}" if error else "")
        )
    for entry in trail:
        details = " ".join(
            f"{name}={value}" for name, value in entry.detail.items() if value not in (None, [])
        )
        typer.echo(f"{_when(entry.at)} {entry.event} {details}".rstrip())
    if report:
        from vertebrometer.batch import Outcome, Source
        from vertebrometer.cli.tables import print_film
        from vertebrometer.report import report_from_json

        whole_report = report_from_json(report)
        print_film(
            Outcome(Source(Path(whole_report.film.file), Path(whole_report.film.file)), "", whole_report)
        )


@app.command("retry")
def retry(
    config: Config,
    jobs: Numbers = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="All that failed, and all failed deliveries.")
    ] = False,
) -> None:
    """Measure again, or send again what a destination did not take."""
    _require_choice(jobs, failed, "--failed")
    _, store = _opened(config)
    for job in jobs or []:
        _one(store, job)
    count = store.jobs.retry(None if failed else jobs)
    store.close()
    typer.echo(f"{count} jobs wait again; failed deliveries too")


@app.command("purge")
def purge(
    config: Config,
    jobs: Numbers = None,
    older_than_days: Annotated[
        float | None, typer.Option(min=0, help="All that ended longer ago, and have been delivered.")
    ] = None,
) -> None:
    """Delete films and results from the node; the audit trail stays, and the film is not measured again."""
    _require_choice(jobs, older_than_days is not None, "--older-than-days")
    from vertebrometer.listener.keeping import purge as purge_one
    from vertebrometer.store import JobState

    settings, store = _opened(config)
    data = settings.store.data.absolute()
    if jobs:
        lines = [_one(store, job) for job in jobs]
        busy = [str(line.job_id) for line in lines if line.state in (JobState.WAITING, JobState.RUNNING)]
        if busy:
            from vertebrometer.errors import SettingsError

            store.close()
            msg = f"job {', '.join(busy)} has not ended yet; what waits is not purged"
            raise SettingsError(msg)
        films = store.films.with_files([line.film_id for line in lines])
    else:
        before = time.time() - 86_400 * (older_than_days or 0.0)
        films = []
        while found := store.films.expired(measured_before=before, failed_before=before):
            for film in found:
                purge_one(store, data, film, why="by hand")
            films += found
    for film in films if jobs else []:
        purge_one(store, data, film, why="by hand")
    store.close()
    typer.echo(f"the files of {len(films)} films are deleted")


def _opened(config: Path) -> tuple[NodeSettings, Store]:
    from vertebrometer.listener import read_node_settings
    from vertebrometer.store import Store

    settings = read_node_settings(config)
    return settings, Store.open(
        settings.store.database, node=f"{settings.name}-cli", busy_s=settings.store.busy_s
    )


def _one(store: Store, job: int) -> JobLine:
    from vertebrometer.errors import SettingsError

    lines = store.jobs.lines(job_id=job)
    if not lines:
        store.close()
        msg = f"there is no job {job}; `vertebrometer jobs list` shows those there are"
        raise SettingsError(msg)
    return lines[0]


def _require_choice(jobs: list[int] | None, other: bool, option: str) -> None:
    from vertebrometer.errors import SettingsError

    if bool(jobs) == other:
        msg = f"give numbers of jobs or {option}, one of the two"
        raise SettingsError(msg)


def _plain(line: JobLine) -> dict[str, Any]:
    from dataclasses import asdict

    return {**asdict(line), "state": line.state.value}


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
