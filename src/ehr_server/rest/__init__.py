"""The RESTful API without a socket: which deed answers which request."""
