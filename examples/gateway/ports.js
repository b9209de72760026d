'use strict';

const { createServer } = require('node:net');

/**
 * Says of each port that nobody else may listen there: the gateway itself would end in a stack
 * trace. All are held at once, so that two of them cannot be the same one.
 */
async function complaintsAbout(ports) {
  const holders = [];
  const complaints = [];
  for (const { what, variable, port, host } of ports) {
    const holder = createServer();
    try {
      await listen(holder, port, host);
      holders.push(holder);
    } catch (error) {
      const other = port > 50000 ? port - 10000 : port + 10000;
      complaints.push(
        `Port ${port} ${why(error)}: ${what} cannot listen there. Choose another one with ${variable}, for example: ${variable}=${other} npm start`,
      );
    }
  }
  await Promise.all(holders.map((holder) => new Promise((done) => holder.close(done))));
  return complaints;
}

function listen(server, port, host) {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
}

function why({ code, message }) {
  if (code === 'EADDRINUSE') return 'is taken';
  if (code === 'EACCES') return 'needs more rights than you have';
  return `cannot be used (${message})`;
}

module.exports = { complaintsAbout };
