"""The milter: the processes that serve it, and the session that an MTA talks to.

The supervisor owns the socket, the signals and the children. A template loads one configuration and forks the
workers; each worker runs libmilter. The keeper serves the metrics.
"""
