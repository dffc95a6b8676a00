"""What is shown of a comparison, as values and words: no HTML, no terminal, nothing drawn."""
