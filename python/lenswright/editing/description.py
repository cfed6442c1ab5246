"""What an edit does to every writer of a model, as a table."""

from __future__ import annotations

import html
from typing import Any


class Description(list[dict[str, Any]]):
    """Every writer of a model and what an edit does to it, or why nothing; prints as a table.

    Entries have writer, kind, edited, what, and the stored names weight and bias ("": not touched).
    """

    def __repr__(self) -> str:
        width = max((len(line["writer"]) for line in self), default=0)
        return "\n".join(
            f"{line['writer']:<{width}}  {'' if line['edited'] else 'left alone: '}{line['what']}"
            for line in self
        )

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr{'' if line['edited'] else ' style=opacity:.6'}>"
            f"<td><code>{html.escape(line['writer'])}</code></td>"
            f"<td>{'edited' if line['edited'] else 'left alone'}</td>"
            f"<td>{html.escape(line['what'])}</td></tr>"
            for line in self
        )
        return f"<table><tr><th>writer</th><th></th><th>what</th></tr>{rows}</table>"
