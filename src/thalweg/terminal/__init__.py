"""What the commands print: tables, curves, verdicts, progress. Nothing is loaded before it is printed."""
