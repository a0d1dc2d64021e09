"""HTML pages in one file, without network: base template, style, copy button, charts, pictures.

A page of any room extends `templates/page.html.jinja`. Class names begin with `sf-`, so that a
piece of a page can stand in another document.
"""
