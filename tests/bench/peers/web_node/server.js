// GET /users/{id} of the orders application: two processes, each with a pool of four. Arguments: port, url of the database.
import cluster from "node:cluster";
import http from "node:http";
import pg from "pg";

const [port, url] = process.argv.slice(2);

if (cluster.isPrimary) {
  for (let i = 0; i < 2; i++) cluster.fork();
} else {
  const pool = new pg.Pool({ connectionString: url, max: 4 });
  const query = { name: "user", text: "SELECT id, name, email FROM users WHERE id = $1" };
  const answer = (response, status, body) => {
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(body));
  };
  http
    .createServer(async (request, response) => {
      const match = /^\/users\/(\d+)$/.exec(request.url);
      if (!match) return answer(response, 404, { error: "not found" });
      try {
        const { rows } = await pool.query({ ...query, values: [match[1]] });
        if (rows.length === 0) return answer(response, 404, { error: "there is no such user" });
        answer(response, 200, { id: Number(rows[0].id), name: rows[0].name, email: rows[0].email, worker: cluster.worker.id });
      } catch (error) {
        answer(response, 503, { error: error.message });
      }
    })
    .listen(Number(port), "127.0.0.1");
}
