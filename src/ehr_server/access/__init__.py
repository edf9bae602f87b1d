"""Who may see and do what: callers, and the one door through which every query passes."""
