"""GET /users/{id} of the orders application as WSGI: a pool of four in each of gunicorn's processes. $DATABASE_URL: the database."""
import json
import os

from psycopg_pool import ConnectionPool

pool = ConnectionPool(os.environ["DATABASE_URL"], min_size=4, max_size=4, open=False, kwargs={"autocommit": True, "prepare_threshold": 1})


def application(environ, start_response):
    pool.open()  # in the worker, after the fork; nothing the next times
    try:
        number = int(environ["PATH_INFO"].removeprefix("/users/"))
        with pool.connection() as connection:
            row = connection.execute("SELECT id, name, email FROM users WHERE id = %s", (number,)).fetchone()
        status, body = ("200 OK", {"id": row[0], "name": row[1], "email": row[2], "worker": os.getpid()}) if row else ("404 Not Found", {"error": "there is no such user"})
    except ValueError:
        status, body = "400 Bad Request", {"error": "id must be a number"}
    content = json.dumps(body).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(content)))])
    return [content]
