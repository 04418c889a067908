"""``shelflife renew``, ``renewals`` and ``rollback``: what makes a system good again, and who decides on it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from shelflife.cli.frame import check_after, complaining, panel
from shelflife.cli.workspace import By, Home, opened, somebody

if TYPE_CHECKING:
    from shelflife.renew.run import Done, Renewal

app = typer.Typer(help="Renewals: what they do, and what is to be decided.")
_how, _which, _deciding, _results = panel("How"), panel("Which"), panel("Deciding"), panel("Results")

System = Annotated[str, typer.Argument(help="The system.")]
Number = Annotated[int, typer.Argument(help="The renewal's number.", min=1, max=2**53)]
As = Annotated[str, _deciding("Who decides: the short name of one of the plan's people.", "--as")]
Json = Annotated[bool, _results("Print JSON instead of words.", "--json")]


@complaining
def renew(
    system: System,
    because: Annotated[str, _how("Why, for those who decide and for the ledger.")] = "asked for by hand",
    explain: Annotated[bool, _how("Print what would be done, and do nothing.", "--explain")] = False,
    home: Home = None,
    by: By = None,
) -> None:
    """Start a renewal: train, prove, ask, roll out. `shelflife up` carries it on, also after a restart.

    Of a system that is being renewed the reason is added to that renewal.
    """
    with opened(home) as workspace:
        if explain:
            for place, step in enumerate(workspace.renewing.explain(system), 1):
                typer.echo(f"{place:>2}. {step.name}: {step.says}")
            for cause in workspace.renewing.causes(system):
                typer.echo(f"! {cause}.")
            return
        before = {one.number for one in workspace.renewing.renewals(system)}
        made = workspace.renewing.start(system, because=because, by=somebody(by))
    joined = f" was under way already ({made.says}); your reason is added to it" if made.number in before else ""
    typer.echo(f"✓ Renewal {made.number} of {system}{joined}. `shelflife up` carries it on; shelflife renewals show"
               f" {made.number} tells how far it is.")  # fmt: skip


@app.callback(invoke_without_command=True)
@complaining
def every(
    context: typer.Context,
    system: Annotated[str | None, _which("Only those of this system.", "--system")] = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """All renewals, the newest first; shown, approved, rejected and cancelled by their number.

    Exit status: 0 nothing waits for a decision, 1 something does.
    """
    if context.invoked_subcommand is not None:
        check_after(context, system, json, home)
        return
    with opened(home) as workspace:
        found = workspace.renewing.renewals(system)
    if json:
        _print_json([dataclasses.asdict(one) for one in found])
    else:
        for one in found:
            typer.echo(f"{one.number:>4}  {one.system}  {one.started:%Y-%m-%d %H:%M}  {one.state}: {_first(one.says)}")
        if not found:
            typer.echo("Nothing was renewed yet.")
    waits = any(one.state == "waiting" and one.says.startswith("Waits for") for one in found)
    raise typer.Exit(1 if waits else 0)


@app.command()
@complaining
def show(number: Number, json: Json = False, home: Home = None) -> None:
    """Print a renewal: why, its steps, what the gates said, what waits, who was told what."""
    with opened(home) as workspace:
        one, done = workspace.renewing.renewal(number)
        planned = workspace.renewing.planned(number)
        briefs = workspace.renewing.briefs(number)
    if json:
        steps, told = ([dataclasses.asdict(each) for each in some] for some in (done, briefs))
        _print_json({**dataclasses.asdict(one), "steps": steps, "briefs": told})
        return
    _show(one, done, [step.name for step in planned])
    for each in briefs:
        until = "" if each.until is None else f" By {each.until:%Y-%m-%d %H:%M}."
        typer.echo(f"  {each.to} was told: {each.what} {each.why} {each.means} To do: {each.do}{until}")


@app.command()
@complaining
def approve(
    number: Number,
    person: As,
    reason: Annotated[str, _deciding("Why; may be left out.")] = "",
    home: Home = None,
) -> None:
    """Approve what the gates have passed. It counts for exactly that artifact, plan and report."""
    with opened(home) as workspace:
        workspace.renewing.decide(number, approve=True, person=person, reason=reason, known_as=somebody(None))
    typer.echo(f"✓ {person} approved renewal {number}. `shelflife up` rolls it out.")


@app.command()
@complaining
def reject(
    number: Number,
    person: As,
    reason: Annotated[str, _deciding("Why: those who made it are to learn what to do better.")],
    home: Home = None,
) -> None:
    """Reject it; the champion stays."""
    with opened(home) as workspace:
        workspace.renewing.decide(number, approve=False, person=person, reason=reason)
    typer.echo(f"✓ {person} rejected renewal {number}. The champion stays.")


@app.command()
@complaining
def cancel(
    number: Number,
    reason: Annotated[str, _deciding("Why.")],
    home: Home = None,
    by: By = None,
) -> None:
    """End a renewal; a canary that it let answer goes back."""
    with opened(home) as workspace:
        workspace.renewing.cancel(number, reason=reason, by=somebody(by))
    typer.echo(f"✓ Renewal {number} is over.")


@complaining
def rollback(
    system: System,
    because: Annotated[str, _how("Why, for the ledger and for those concerned.")],
    to: Annotated[int | None, _how("The version that is to answer; the champion before this one by default.")] = None,
    home: Home = None,
    by: By = None,
) -> None:
    """Let an earlier version answer all requests, in seconds; what is being renewed ends."""
    with opened(home) as workspace:
        version = workspace.renewing.roll_back(system, to, reason=because, by=somebody(by))
    typer.echo(f"✓ Version {version} of {system} answers; gateways follow within two seconds.")


def _show(one: Renewal, done: list[Done], planned: list[str]) -> None:
    typer.echo(f"Renewal {one.number} of {one.system}: {one.state}. {_first(one.says).removesuffix('.')}.")
    for reason in one.reasons:
        finding = f" (finding {reason.finding})" if reason.finding is not None else ""
        typer.echo(f"  because {reason.says}{finding}{' (came later)' if reason.late else ''}")
    known = {step.name: step for step in done}
    for name in planned:
        step = known.get(name)
        if step is None:
            typer.echo(f"  ·  {name}")
            continue
        sign = {"done": "✓", "waits": "…", "ended": "✗" if one.state != "promoted" else "✓"}[step.state]
        said = one.says if step.state == "waits" and one.ended is None else step.evidence.get("says", "")
        typer.echo(f"  {sign}  {name}: {said}")
        for verdict in step.evidence.get("verdicts", ()):
            typer.echo(f"       {verdict['state']:<7} {verdict['gate']}: {verdict['says']}")


def _first(says: str) -> str:
    """What is said, without the lines of a log that may follow; its step shows them."""
    return says.split("\n", 1)[0]


def _print_json(found: Any) -> None:
    import json

    typer.echo(json.dumps(found, indent=2, default=str))
