"""How fast an answer is: ours, and others, under the same load."""
