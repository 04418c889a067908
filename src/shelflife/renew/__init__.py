"""Make it good again: versions and what they were, training, what a version is made of, and whether it can be again."""
