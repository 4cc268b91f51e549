// node -r ./loopback.js: every server listens on loopback only, whatever its program asks for.
const { Server } = require("node:net");

const listen = Server.prototype.listen;
Server.prototype.listen = function (where, ...rest) {
  const port = typeof where === "object" ? where.port : where;
  const done = rest.filter((argument) => typeof argument === "function");
  return listen.call(this, { port, host: "127.0.0.1" }, ...done);
};
