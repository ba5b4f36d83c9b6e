// Posts bodies with Node.js' own client, as axios does, and prints each status: post.js URL COUNT BYTES.
const http = require("node:http");

const [url, count, bytes] = process.argv.slice(2);
const body = Buffer.alloc(Number(bytes), " ");
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const headers = { "content-type": "application/json", "content-length": body.length, "X-N8N-API-KEY": "wrong" };

const post = () =>
  new Promise((done) => {
    const request = http.request(url, { method: "POST", headers, agent }, (answer) => {
      answer.resume().on("end", () => done(answer.statusCode));
    });
    request.on("error", (error) => done(error.code)).end(body);
  });

(async () => {
  for (let i = 0; i < Number(count); i++) console.log(await post());
  agent.destroy();
})();
