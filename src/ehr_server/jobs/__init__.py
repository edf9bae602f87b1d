"""Work in the background: the worker, and what it does for each kind of job."""
