// Loaded into a gateway: the longest turn of its event loop, in processor time of the main thread,
// so that what else the machine does is not in it. SIGUSR2 begins anew; the file has it in ms.
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
  // Once a turn at the most, so what is between two of them is a turn, or a few short ones.
  setInterval(() => {
    const at = now();
    const ms = (at - last) / 1e6;
    last = at;
    if (ms <= longest) return;
    longest = ms;
    writeFileSync(file, String(ms));
  }, 1).unref();
}
