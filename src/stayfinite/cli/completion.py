"""`stayfinite completion`, and what is completed."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class

from stayfinite.diagnose import pages as causes

SHELLS = ("bash", "zsh", "fish")
# The variable by which click is asked for completions.
_VARIABLE = "_STAYFINITE_COMPLETE"


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", metavar="SHELL", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> int:
    """Print the script that completes commands, options, causes and files in SHELL.

    \b
    bash: eval "$(stayfinite completion bash)"     in ~/.bashrc
    zsh:  eval "$(stayfinite completion zsh)"      in ~/.zshrc
    fish: stayfinite completion fish | source      in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "stayfinite", _VARIABLE)
    click.echo(script.source_template % script.source_vars())
    return 0


def a_file(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Leave the completion to the shell, which lists the files."""
    return [CompletionItem(begun, type="file")]


def a_cause(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """The names of causes that begin so, with their first sentence."""
    return [
        CompletionItem(name, help=causes.summary(page))
        for name, page in causes.pages().items()
        if name.startswith(begun)
    ]
