"""A resident found by the number of a card: how quickly, among many, while facilities write.

A real server with so many residents, most with a thin layer of resources, is asked on a schedule;
transactions of people come in twice and from two sides; two whole records become one.
"""
