"""Postgres: the connection, the migrations, and a module a group of tables with one function a query.

Every function takes an autocommit connection and writes in one statement or one transaction, so that a kill leaves each
row in a state that `sql/*.sql` allows. What a state means, and how version 0.2.0 is kept in step, stands in
`sql/0003_history.sql`.
"""

STATES = ("candidate", "approved", "posting", "posted", "rejected", "unknown")
"""Of a tweet, in the order in which people are shown them."""
