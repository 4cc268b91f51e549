const Arweave = require("arweave");

module.exports.connect = (url) => {
  const { protocol, hostname, port } = new URL(url);
  return Arweave.init({ protocol: protocol.slice(0, -1), host: hostname, port, timeout: 60_000 });
};
