// What arbundles signs to make a data item of a file, as `sha256sum` would print it.
const { closeSync, fstatSync, openSync, readSync } = require("node:fs");
const { createData } = require("@dha-team/arbundles");

const signer = { signatureType: 1, signatureLength: 512, ownerLength: 512, publicKey: Buffer.alloc(512, 1) };

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
    const message = await createData(readWhole(path), signer).getSignatureData();
    console.log(`${Buffer.from(message).toString("hex")}  ${path}`);
})();
