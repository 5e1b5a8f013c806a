"""What is at each path."""
