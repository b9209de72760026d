'use strict';

// Loaded into a gateway before itself: SIGUSR2 begins a profile of its processor time, the next one
// ends it and writes it to PROFILE_TO. Not --cpu-prof, which has the start in it and needs an exit.

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
