"""What Sphinx needs for pages that ask no other host for anything, and lead to files as they lie beside them."""

import re
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.osutil import relative_uri


class FilesAsTheyLie(SphinxTransform):
    """Links to files lead to them. Sphinx would have copies downloaded, also of pages that one wants to see."""

    default_priority = 800  # before Sphinx notes what is to be downloaded, at 880

    def apply(self, **_: Any) -> None:
        here = self.env.docname
        for node in [*self.document.findall(addnodes.download_reference)]:
            file = self.env.relfn2path(node["reftarget"], here)[0]
            link = nodes.reference("", "", *node.children, refuri=relative_uri(f"{here}.html", file), internal=True)
            node.replace_self(link)


def _inline(translator: Any, node: nodes.math) -> None:
    translator.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def _block(translator: Any, node: nodes.math_block) -> None:
    translator.body.append(f'<div class="math">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def _by_keyboard_and_ear(*event: Any) -> None:
    """The sidebar's captions are headings of a level; what scrolls sideways can be scrolled by keyboard."""
    _, _, _, context, _ = event
    tree = context.get("furo_navigation_tree", "")
    context["furo_navigation_tree"] = tree.replace('role="heading"', 'role="heading" aria-level="2"')
    for wide in ("<pre", '<div class="table-wrapper'):
        context["body"] = re.sub(f"{wide}(?=[ >])", f'{wide[:4]} tabindex="0"{wide[4:]}', context.get("body", ""))


def setup(app: Sphinx) -> dict[str, bool]:
    """Mathematics as MathML, which browsers set themselves."""
    app.connect("html-page-context", _by_keyboard_and_ear, priority=900)  # after the theme's own
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    app.add_transform(FilesAsTheyLie)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
