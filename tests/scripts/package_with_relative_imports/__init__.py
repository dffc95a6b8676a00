"""A classifier of wines, laid out as a package."""
