"""How search behaves while the record grows: the same questions at several sizes of one campaign.

The campaign is loaded by the server's own code for rows, without HTTP and validation. What each
question must find is read from the generated resources in plain Python (`truth`), never from the
server's index; beside the time it is counted how many pages of the database are touched, which
other load on the machine does not change.
"""
