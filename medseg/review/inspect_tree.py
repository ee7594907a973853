"""Shows an inspection as a tree in the terminal: studies, series, volumes, and what was skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from PIL import Image
from rich.console import Group, RenderableType
from rich.markup import escape as without_markup
from rich.text import Text
from rich.tree import Tree

from medseg.counted import counted
from medseg.harmless import one_line
from medseg.review.inspection import Inspection, VolumeReport


def escape(text: str) -> str:
    """Text of a file as it is, whatever it holds: no markup of rich's, and no escape sequences."""
    return without_markup(one_line(text))


COLUMNS = 64  # characters a thumbnail is drawn in, at most


def inspection_tree(inspection: Inspection, title: str, *, thumbnails: bool) -> Tree:
    """Make the tree, on request with thumbnails of two pixels a character."""
    valid = sum(volume.is_valid for volume in inspection.volumes)
    tree = Tree(f"[bold]{escape(title)}[/]  {valid} of {counted(len(inspection.volumes), 'volume')} valid")
    studies: dict[str, Tree] = {}
    series: dict[tuple[str, str | None], Tree] = {}
    for volume in inspection.volumes:
        branch = tree
        if volume.found.format == "dicom":
            if volume.study not in studies:
                studies[volume.study] = tree.add(f"study {volume.study}")
            branch = studies[volume.study]
            key = (volume.study, volume.found.series_uid)
            several = [v for v in inspection.volumes if v.found.series_uid == volume.found.series_uid]
            if len(several) > 1:
                if key not in series:
                    series[key] = branch.add(f"series {escape(volume.series)}".rstrip())
                branch = series[key]
        branch.add(_volume(volume, thumbnails))
    if inspection.skipped:
        others = len(inspection.skipped)
        rest = tree.add(f"{counted(others, 'other file')}")
        for corrupt, reason, count, example, fix in skipped_by_reason(inspection):
            mark = "[red]✗[/]" if corrupt else "[dim]·[/]"
            times = f"{count} files, such as " if count > 1 else ""
            line = f"{mark} {times}{escape(example)}: {escape(reason)}"
            rest.add(line + (f"\n[dim]{escape(fix)}[/]" if fix and corrupt else ""))
    return tree


def _volume(volume: VolumeReport, thumbnails: bool) -> RenderableType:
    mark = "[green]✓[/]" if volume.is_valid else "[red]✗[/]"
    lines = [f"{mark} [bold]{escape(volume.found.case_id)}[/]  {escape(facts(volume))}"]
    if not volume.is_valid:
        lines += [f"  [red]{escape(volume.reason or '')}[/]"]
        lines += [f"  [dim]{escape(volume.fix)}[/]"] if volume.fix else []
    lines += [f"  [yellow]{escape(note)}[/]" for note in volume.notes]
    lines += [f"  {escape(volume.fit)}"] if volume.fit else []
    text = Text.from_markup("\n".join(lines))
    if not thumbnails or volume.thumbnail is None:
        return text
    return Group(text, _blocks(volume.thumbnail))


def facts(volume: VolumeReport, *, with_series: bool = True) -> str:
    """What is known of a volume, on one line."""
    facts = [volume.series] if volume.series and with_series else []
    facts += [volume.found.description]
    if volume.geometry is not None and volume.found.format == "dicom":
        size = "x".join(map(str, volume.geometry.shape))
        facts.append(f"{size}, {' x '.join(f'{s:.3g}' for s in volume.geometry.spacing)} mm")
    if volume.geometry is not None:
        facts.append(volume.geometry.orientation + (" sheared" if volume.geometry.is_sheared else ""))
    if volume.values is not None:
        facts.append(f"{volume.value_type} {volume.values[0]:g} to {volume.values[1]:g}")
    return " · ".join([*facts, *([volume.body_part] if volume.body_part else [])])


def _blocks(image: Image.Image) -> Text:
    """Two pixels a character: the upper half block in one color on a background of the other."""
    fewer = -(-max(image.size) // COLUMNS)
    pixels = np.asarray(image)[::fewer, ::fewer]
    pixels = pixels[: len(pixels) // 2 * 2]
    text = Text()
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        for top, bottom in zip(upper, lower, strict=True):
            text.append("▀", style=f"rgb({','.join(map(str, top))}) on rgb({','.join(map(str, bottom))})")
        text.append("\n")
    return text


def skipped_by_reason(inspection: Inspection) -> Iterable[tuple[bool, str, int, str, str | None]]:
    """Reasons, corrupt files first, each with how many files it is given for and one of them."""
    counts = Counter((left.corrupt, left.reason) for left in inspection.skipped)
    first = {(left.corrupt, left.reason): left for left in reversed(inspection.skipped)}
    for (corrupt, reason), count in sorted(counts.items(), key=lambda item: (not item[0][0], item[0][1])):
        left = first[corrupt, reason]
        yield corrupt, reason, count, left.path.name, left.fix
