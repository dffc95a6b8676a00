"""What somebody asks for, in words, files or Python, becomes a plan."""
