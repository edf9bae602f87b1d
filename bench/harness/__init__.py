"""Measures a real server: rates, latencies, processor time by process, bytes on disk, memory.

The load comes from a cheap client in a process of its own, over raw keep-alive sockets with
requests that are built beforehand, so that what is measured is the server. Client, server and
PostgreSQL share the machine; the table therefore splits the processor time between them.
"""
