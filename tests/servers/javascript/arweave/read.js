// Writes a transaction's data to a file, and checks its signature: node read.js URL ID FILE gateway|chunks
const { writeFileSync } = require("node:fs");
const { connect } = require("./gateway.js");

async function main(url, id, file, how) {
  const arweave = connect(url);
  const transaction = await arweave.transactions.get(id);
  const data =
    how === "chunks"
      ? await arweave.chunks.downloadChunkedData(id)
      : new Uint8Array((await arweave.api.get(id, { responseType: "arraybuffer" })).data);
  writeFileSync(file, data);
  console.log(JSON.stringify({ verified: await arweave.transactions.verify(transaction) }));
}

main(...process.argv.slice(2));
