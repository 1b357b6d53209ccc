"""What is tested and how it is judged."""
