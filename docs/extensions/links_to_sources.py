"""Links from a page to what lies outside docs/ (code, deploy/, results/). MyST warns of those that lead nowhere.

Without `repository` in conf.py or `-D repository=URL` they lead to the files of the checkout that the site was built
from. With it, for a site that is put elsewhere, to URL/path.
"""

import os
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.transforms import SphinxTransform


class LinksToSources(SphinxTransform):
    default_priority = 200

    def apply(self, **kwargs) -> None:
        docs = Path(self.app.srcdir)
        page = docs / self.env.docname
        links = [*self.document.findall(addnodes.download_reference), *self.document.findall(addnodes.pending_xref)]
        for node in links:
            target = Path(os.path.normpath(page.parent / node["reftarget"].partition("#")[0]))
            if node.get("refdomain") == "doc":  # MyST takes every .md for a page of the site, and its ending off
                target = target.with_name(f"{target.name}.md")
            if node.get("reftype") == "myst" and not target.is_relative_to(docs) and target.exists():
                node.replace_self(nodes.reference("", "", *node.children, refuri=self._address(target)))

    def _address(self, target: Path) -> str:
        project = Path(self.app.srcdir).parent
        path = target.relative_to(project).as_posix()
        if self.config.repository:
            return f"{self.config.repository.rstrip('/')}/{path}"
        page = Path(self.app.outdir) / self.app.builder.get_target_uri(self.env.docname)
        return Path(os.path.relpath(target, page.parent)).as_posix()


def setup(app) -> dict:
    app.add_config_value("repository", "", "env", str)
    app.add_transform(LinksToSources)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
