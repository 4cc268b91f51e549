// Signs and posts a file, a small one with the transaction, others chunk by chunk: node upload.js URL WALLET FILE TAGS
const { readFileSync } = require("node:fs");
const { connect } = require("./gateway.js");

async function main(url, wallet, file, tags) {
  const arweave = connect(url);
  const key = JSON.parse(readFileSync(wallet, "utf8"));
  const transaction = await arweave.createTransaction({ data: new Uint8Array(readFileSync(file)) }, key);
  for (const [name, value] of JSON.parse(tags)) transaction.addTag(name, value);
  await arweave.transactions.sign(transaction, key);
  const uploader = await arweave.transactions.getUploader(transaction);
  while (!uploader.isComplete) {
    await uploader.uploadChunk();
    if (![200, 208].includes(uploader.lastResponseStatus)) {
      throw new Error(`${uploader.lastResponseStatus} ${uploader.lastResponseError}`);
    }
  }
  const { id, data_root: dataRoot } = transaction;
  console.log(JSON.stringify({ id, dataRoot, chunks: uploader.totalChunks }));
}

main(...process.argv.slice(2));
