// Checks proofs, a JSON list of {root, offset, size, path} on stdin: node validate.js
const { readFileSync } = require("node:fs");
const { validatePath } = require("arweave/node/lib/merkle");
const { b64UrlToBuffer } = require("arweave/node/lib/utils");

async function main() {
  const results = [];
  for (const { root, offset, size, path } of JSON.parse(readFileSync(0, "utf8"))) {
    const found = await validatePath(b64UrlToBuffer(root), offset, 0, size, b64UrlToBuffer(path));
    results.push(found ? { start: found.leftBound, end: found.rightBound } : null);
  }
  console.log(JSON.stringify(results));
}

main();
