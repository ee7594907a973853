"""How verbs and groups of verbs show themselves, and let `-i`, `-m` and `-o` stand for an argument."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from medseg.cli.options import GROUPS, INPUT, LOG, MODEL, WRITE
from medseg.cli.spelling import placeholder, spelled

# An option that stands for the first argument of a group.
STANDS_FOR = {"-i": INPUT, "-m": MODEL, "-o": WRITE}
# Is not broken at the end of a line, as the hyphen in the name of an option or of a format must not be.
UNBROKEN_HYPHEN = "\N{NON-BREAKING HYPHEN}"


class VerbCommand(TyperCommand):
    """A verb whose `--help` groups arguments and options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, with the value after `-i`, `-m` or `-o` put where the argument stands."""
        self._refuse_empty(ctx, args)
        for option, group in STANDS_FOR.items():
            place = self.place(option, group)
            if place is not None and args[-1:] == [option]:
                argument = [param for param in self.params if param.param_type_name == "argument"][place]
                ctx.fail(f"{option} needs a value, so write {option} {placeholder(argument)}")
            values = []
            while place is not None and option in args[:-1]:
                at = args.index(option)
                values.append(args[at + 1])
                args = [*args[:at], *args[at + 2 :]]
            args = [*values, *args] if place == 0 else [*args, *values]
        with _context_in_errors(ctx):
            return super().parse_args(ctx, args)

    def _refuse_empty(self, ctx: Any, args: list[str]) -> None:
        """Refuse an empty value, such as that of a shell's variable that is not set: as a path it is this folder."""
        options = {name for param in self.params for name in param.opts} | set(STANDS_FOR)
        for before, here in zip(["", *args], args, strict=False):
            name = before if not here else here.removesuffix("=")
            if not here or (name in options and here.endswith("=")):
                of_what = name if name in options else "an argument"
                ctx.fail(f"{of_what}: the value is empty, as that of a variable of the shell is that is not set")

    def place(self, option: str, group: str) -> int | None:
        """Position of the argument that an option stands for, unless the verb has that option itself."""
        if any(option in param.opts for param in self.params):
            return None
        arguments = [param for param in self.params if param.param_type_name == "argument"]
        groups = [getattr(param, "rich_help_panel", None) for param in arguments]
        return groups.index(group) if group in groups else None

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what must be typed, then the rest."""
        shown = (param for param in self.get_params(ctx) if not getattr(param, "hidden", False))
        arguments = [param for param in shown if param.param_type_name == "argument"]
        pieces = [
            f"{placeholder(param)}{'...' if param.nargs == -1 else ''}" if param.required else f"[{placeholder(param)}]"
            for param in arguments
        ]
        needed = [param for param in self.get_params(ctx) if param.param_type_name == "option" and param.required]
        pieces += [f"{max(param.opts, key=len)} {placeholder(param)}" for param in needed]
        return [*pieces, "[OPTIONS]"]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the description and the example."""
        _write_description(self.help or "", formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each group."""
        replaced = {self.place(option, group): option for option, group in STANDS_FOR.items()}
        arguments = [param for param in self.get_params(ctx) if param.param_type_name == "argument"]
        also = {param.name: replaced[place] for place, param in enumerate(arguments) if place in replaced}
        _write_options(self.get_params(ctx), ctx, formatter, also)

    def get_help(self, ctx: Any) -> str:
        """Return the whole page."""
        return super().get_help(ctx).replace(UNBROKEN_HYPHEN, "-")


class VerbGroup(TyperGroup):
    """A list of verbs in groups, with the options all of them take."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the options before the next verb."""
        with _context_in_errors(ctx):
            return super().parse_args(ctx, args)

    def shown_name(self, name: str) -> str:
        """Return what the list calls a verb."""
        return name

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return what must be typed."""
        return ["VERB", "[OPTIONS]"]

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the description and the example."""
        _write_description(self.help or "", formatter)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each group of verbs, then the options."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.commands[name]
            title = getattr(command, "rich_help_panel", None) or "Verbs"
            sections.setdefault(title, []).append((self.shown_name(name), _unbroken(command.get_short_help_str(200))))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)
        _write_options(self.get_params(ctx), ctx, formatter)

    def get_help(self, ctx: Any) -> str:
        """Return the whole page."""
        return super().get_help(ctx).replace(UNBROKEN_HYPHEN, "-")


@contextmanager
def _context_in_errors(ctx: Any) -> Iterator[None]:
    """Tell an error of the parser which verb it is about."""
    try:
        yield
    except typer.TyperException as error:
        vars(error)["ctx"] = getattr(error, "ctx", None) or ctx
        raise


def _write_description(text: str, formatter: Any) -> None:
    """Write paragraphs; the example on a line of its own, never broken."""
    text, _, example = text.partition("Example:")
    for paragraph in text.strip().split("\n\n"):
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(_unbroken(" ".join(paragraph.split())))
    if example:
        formatter.write(f"\n  Example: {' '.join(example.split())}\n")


def _write_options(params: Any, ctx: Any, formatter: Any, also: dict[str, str] | None = None) -> None:
    """Write a section for each group; `also` holds the option that stands for an argument, by its name."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for param in (param for param in params if not getattr(param, "hidden", False)):
        group = getattr(param, "rich_help_panel", None) or LOG
        name = f"{spelled(param)}, {(also or {})[param.name]}" if param.name in (also or {}) else spelled(param)
        sections.setdefault(group, []).append((name, _unbroken(_sentences(param, ctx))))
    for title in sorted(sections, key=GROUPS.index):
        with formatter.section(title):
            formatter.write_dl(sections[title])


def _sentences(param: Any, ctx: Any) -> str:
    """What an option is for, and whether it may be omitted."""
    if param.required:
        return f"{param.help} Required."
    default = param.get_default(ctx, call=False)
    if default in (None, "") or isinstance(default, bool) or not param.show_default:
        return str(param.help)
    return f"{param.help} Default: {default}."


def _unbroken(text: str) -> str:
    return text.replace("-", UNBROKEN_HYPHEN)
