"""Scripts of the gate, and the one that draws the README's pictures."""
