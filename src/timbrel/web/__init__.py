"""The page: Timbrel in the browser. Its source is in web/; `static/` holds the built files."""
