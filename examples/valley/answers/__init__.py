"""What the stored study says of the paper's findings; ../findings.py writes it down."""
