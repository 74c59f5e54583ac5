// One acquire and release after the other. Arguments: tarn or generic-pool, seconds. Prints `<name> <version> <ns per cycle>`.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
const require = createRequire(import.meta.url);

const [name, seconds = '1'] = process.argv.slice(2);

const makers = {
  'tarn': () => {
    const { Pool } = require('tarn');
    const pool = new Pool({ create: () => ({ number: 1 }), destroy: () => {}, min: 0, max: 8 });
    return { acquire: () => pool.acquire().promise, release: (c) => pool.release(c) };
  },
  'generic-pool': () => {
    const pool = require('generic-pool').createPool({ create: async () => ({ number: 1 }), destroy: async () => {} }, { max: 8 });
    return { acquire: () => pool.acquire(), release: (c) => pool.release(c) };
  },
};
const pool = makers[name]();
let sink = 0;

async function cycles(n) {
  const began = process.hrtime.bigint();
  for (let i = 0; i < n; i++) {
    const connection = await pool.acquire();
    sink += connection.number;
    await pool.release(connection);
  }
  return Number(process.hrtime.bigint() - began) / n;
}

const batch = 10_000;
for (let i = 0; i < 5; i++) await cycles(batch);
const all = [];
for (const end = Date.now() + Number(seconds) * 1000; all.length < 5 || Date.now() < end; ) all.push(await cycles(batch));
all.sort((a, b) => a - b);
const { version } = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url)));
console.log(`${name} ${version} ${all[all.length >> 1].toFixed(2)}`);
process.exit(0);
