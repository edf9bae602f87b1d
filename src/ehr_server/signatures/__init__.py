"""Signatures of what is pushed: whose key it was, and whether the content is what was signed."""
