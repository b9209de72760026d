'use strict';

// Preloaded into a gateway. SIGUSR2 starts a profile of its processor time; the next SIGUSR2 stops it
// and writes it to PROFILE_TO. `--cpu-prof` would include the start and write only at exit.

const { writeFileSync, renameSync } = require('node:fs');
const { Session } = require('node:inspector');

const path = process.env.PROFILE_TO;
let session = null;

process.on('SIGUSR2', () => {
  if (session === null) {
    session = new Session();
    session.connect();
    session.post('Profiler.enable');
    session.post('Profiler.setSamplingInterval', { interval: 200 });
    session.post('Profiler.start');
    return;
  }
  session.post('Profiler.stop', (_error, { profile }) => {
    writeFileSync(`${path}.part`, JSON.stringify(profile));
    renameSync(`${path}.part`, path);
  });
});
