"""What a bug report needs: what is installed, what works here, and how fast."""
