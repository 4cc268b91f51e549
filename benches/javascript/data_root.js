// arweave-js's root of a file's chunks and all their proofs, as `sha256sum` would print it.
const { createHash } = require("node:crypto");
const { closeSync, fstatSync, openSync, readSync } = require("node:fs");
const { generateTransactionChunks } = require("arweave/node/lib/merkle");

// `readFileSync` refuses more than 2 GiB; a buffer may have 4.
function readWhole(path) {
    const file = openSync(path);
    const data = Buffer.allocUnsafe(fstatSync(file).size);
    for (let at = 0; at < data.length; ) {
        at += readSync(file, data, at, Math.min(data.length - at, 1 << 30), at);
    }
    closeSync(file);
    return data;
}

(async () => {
    const path = process.argv[2];
    const { data_root, proofs } = await generateTransactionChunks(readWhole(path));
    const hash = createHash("sha256").update(data_root);
    proofs.forEach(({ proof }) => hash.update(proof));
    console.log(`${hash.digest("hex")}  ${path}`);
})();
