'use strict';

// The test can set the clock ahead instead of waiting until something expires.
if (process.send) {
  const { now } = Date;
  let aheadMs = 0;
  Date.now = () => now() + aheadMs;
  process.on('message', ({ passMs }) => {
    aheadMs += passMs;
    process.send({ aheadMs });
  });
  // The channel to the test must not keep the gateway alive.
  process.channel.unref();
}

require('express-gateway')().load(process.env.EG_CONFIG_DIR).run();
