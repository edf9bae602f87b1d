"""Who a person is: kinds of identifier, names as they are compared. Pure."""
