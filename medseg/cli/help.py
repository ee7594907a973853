"""How a verb shows its options in groups, and lets `-i` and `-m` stand for its input and its model."""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

from medseg.cli.options import GROUPS, INPUT, LOG, MODEL, WHAT

# An option that stands for the first argument of a group.
STANDS_FOR = {"-i": INPUT, "-m": MODEL}


class VerbCommand(TyperCommand):
    """A verb whose `--help` groups arguments and options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, with the value after `-i` or `-m` put where the argument stands."""
        for option, group in STANDS_FOR.items():
            place = self._place(option, group)
            values = []
            while place is not None and option in args[:-1]:
                at = args.index(option)
                values.append(args[at + 1])
                args = [*args[:at], *args[at + 2 :]]
            args = [*values, *args] if place == 0 else [*args, *values]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each group."""
        sections: dict[str, list[tuple[str, str]]] = {}
        replaced = {self._place(option, group): option for option, group in STANDS_FOR.items()}
        place = 0
        param: Any
        for param in self.get_params(ctx):
            name, text = param.get_help_record(ctx) or ("", "")
            if param.param_type_name == "argument":
                # The type of a path or a name is of no use to the reader; the values of a closed choice are.
                name = name if param.type_descriptor.is_choice else name.partition(" <")[0]
                name += f", {replaced[place]}" if place in replaced else ""
                place += 1
            group = LOG if param.name == "help" else getattr(param, "rich_help_panel", None) or WHAT
            sections.setdefault(group, []).append((name, text))
        for title in sorted(sections, key=GROUPS.index):
            with formatter.section(title):
                formatter.write_dl(sections[title])

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the description; the example on a line of its own, never broken."""
        text, _, example = (self.help or "").partition("Example:")
        for paragraph in text.strip().split("\n\n"):
            formatter.write_paragraph()
            with formatter.indentation():
                formatter.write_text(" ".join(paragraph.split()))
        if example:
            formatter.write(f"\n  Example: {' '.join(example.split())}\n")

    def _place(self, option: str, group: str) -> int | None:
        """Position of the argument that an option stands for, unless the verb has that option itself."""
        if any(option in param.opts for param in self.params):
            return None
        arguments = [param for param in self.params if param.param_type_name == "argument"]
        groups = [getattr(param, "rich_help_panel", None) for param in arguments]
        return groups.index(group) if group in groups else None


class VerbGroup(TyperGroup):
    """A list of verbs, in groups where they name one."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each group of verbs."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name in self.list_commands(ctx):
            command = self.commands[name]
            title = getattr(command, "rich_help_panel", None) or "Commands"
            sections.setdefault(title, []).append((name, command.get_short_help_str(200)))
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl(rows)
