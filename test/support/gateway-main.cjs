'use strict';

// The test may set the clock ahead, so that it need not wait for what expires.
if (process.send) {
  const { now } = Date;
  let aheadMs = 0;
  Date.now = () => now() + aheadMs;
  process.on('message', ({ passMs }) => {
    aheadMs += passMs;
    process.send({ aheadMs });
  });
  // A channel to the test keeps no gateway alive.
  process.channel.unref();
}

require('express-gateway')().load(process.env.EG_CONFIG_DIR).run();
