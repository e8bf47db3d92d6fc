"""What is promised of campaigns."""
