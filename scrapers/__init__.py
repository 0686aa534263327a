"""Where texts come from: one module a source, each with `scrape(source) -> Iterator[Document]`."""
