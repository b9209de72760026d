// Preloaded into a gateway. Writes the longest turn of its event loop to TURNS_FILE, in milliseconds
// of the main thread's processor time, which excludes other load on the machine. SIGUSR2 resets it.
const { readFileSync, writeFileSync } = require('node:fs');

const file = process.env['TURNS_FILE'];
const now = () =>
  Number(readFileSync(`/proc/self/task/${process.pid}/schedstat`, 'utf8').split(' ')[0]);

if (file !== undefined) {
  let longest = 0;
  let last = now();
  process.on('SIGUSR2', () => {
    longest = 0;
    last = now();
    writeFileSync(file, '0');
  });
  // The timer runs at most once per turn, so the time between two runs is one turn, or a few short ones.
  setInterval(() => {
    const at = now();
    const ms = (at - last) / 1e6;
    last = at;
    if (ms <= longest) return;
    longest = ms;
    writeFileSync(file, String(ms));
  }, 1).unref();
}
