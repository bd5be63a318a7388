"""The command ``replicate``: list, run, sweep, build, check, archive and add chapters."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from common.cli import chapters, data, make, sweeps
from common.cli.output import tell
from common.errors import ReplicateError, UsageError

INTERRUPTED = 130


class _Guarded(TyperGroup):
    """Turns errors into one message and an exit code; ``--debug`` may stand anywhere."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        rest = [arg for arg in args if arg != "--debug"]
        return super().parse_args(ctx, ["--debug", *rest] if len(rest) < len(args) else rest)

    def invoke(self, ctx: Any) -> Any:
        if ctx.params.get("debug"):
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            tell("interrupted: finished runs are kept, the same command goes on from there.")
            raise typer.Exit(INTERRUPTED) from None
        except ReplicateError as error:
            tell(f"error: {error}")
            raise typer.Exit(2 if isinstance(error, UsageError) else 1) from None
        except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
            tell(
                f"error: unexpected {type(error).__name__}: {error}\n"
                "This is a defect of the book. Run the command with --debug and report what it "
                "prints."
            )
            raise typer.Exit(1) from None


app = typer.Typer(
    cls=_Guarded,
    name="replicate",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def replicate(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    """Replicate papers of medical image analysis and put their claims on trial.

    \b
    Examples:
      replicate list
      replicate run hep2 -p epochs=3
      replicate sweep hep2 -p lr=1e-3,5e-3 --seeds 5
      replicate build
      replicate run hep2 --help
    """


app.command("list")(chapters.list_chapters)
app.command("run")(make.run)
app.command("sweep")(sweeps.sweep)
app.command("collect")(sweeps.collect)
app.command("build", cls=make.OptionalPath)(make.build)
app.command("claims")(chapters.claims)
app.command("audit")(chapters.audit)
app.add_typer(data.app, name="data")
app.command("sync")(make.sync)
app.command("archive")(make.archive)
app.command("new")(make.new)
app.command("serve")(make.serve)


def main() -> None:
    """Run the command line."""
    app()
