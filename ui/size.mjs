// Fails when what the first page needs has grown too large.
import { readFileSync, readdirSync } from "node:fs";
import { gzipSync } from "node:zlib";

const LIMIT = 130_000;
const html = readFileSync("dist/index.html", "utf8");
let first = 0;
for (const name of readdirSync("dist/assets").filter((name) => name.endsWith(".js"))) {
  const size = gzipSync(readFileSync(`dist/assets/${name}`), { level: 9 }).length;
  const isFirst = html.includes(name);
  if (isFirst) first += size;
  console.log(`${isFirst ? "first" : "later"}  ${(size / 1000).toFixed(1)} kB gzip  ${name}`);
}
console.log(`first script in all: ${(first / 1000).toFixed(1)} kB gzip`);
if (first > LIMIT) throw new Error(`the first script is over ${LIMIT / 1000} kB`);
