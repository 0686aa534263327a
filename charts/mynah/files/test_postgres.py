import os
import pathlib

from mynah.database.connection import connect

with connect(os.environ.get("DATABASE_URL", ""), pathlib.Path("/tmp")) as connection:
    print(connection.execute("SELECT version()").fetchone()[0])
    print("migrations:", *[name for (name,) in connection.execute("SELECT name FROM migrations ORDER BY name")])
