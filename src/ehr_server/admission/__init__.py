"""Who calls: tokens and who may issue them, registered programs, and who is let in."""
