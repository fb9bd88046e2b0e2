"""A report as one HTML file that loads nothing: style and drawings are inside."""

from typing import Any

from dms_operator.api.errors import ToolchainUnavailable

from .document import Code, Document, Figure, Items, Picture, Table, Tag, Text

TEMPLATE = "page.html.j2"
_KINDS: dict[type[Any], str] = {
    Table: "table",
    Text: "text",
    Items: "items",
    Code: "code",
    Picture: "picture",
    Tag: "tag",
    Figure: "figure",
}


def as_html(document: Document) -> str:
    """The whole report. Raises ToolchainUnavailable without jinja2."""
    try:
        import jinja2
    except ImportError as error:
        raise ToolchainUnavailable(
            "HTML needs jinja2", hint="pip install 'dms-operator[report]', or use --output markdown"
        ) from error
    # every text is escaped: model, node and operator names come from users' files
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("dms_operator.cli.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["kind"] = lambda value: _KINDS.get(type(value), "plain")
    return environment.get_template(TEMPLATE).render(document=document)
