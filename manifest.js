'use strict';

const { init } = require('./dist/policies/hosts/gateway/plugin.js');

module.exports = {
  name: 'llm-cache',
  // Of the gateway's plugin engine, not of this package: above 1.2.0 it warns.
  version: '1.2.0',
  policies: ['llm-usage', 'llm-cache'],
  // Only what the gateway needs to know: `init` judges the settings, and says in full what is wrong.
  schema: {
    $id: 'http://express-gateway.io/schemas/plugins/express-gateway-plugin-llm-cache.json',
    type: 'object',
  },
  init: (context) => init(context, __dirname),
};
