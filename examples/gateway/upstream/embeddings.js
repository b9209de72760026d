'use strict';

const { createHash } = require('node:crypto');
const { isFilled, isLimit, textOf, tokensOf } = require('./words');

/** OpenAI's Embeddings. Not a stream, whatever the request says. */
module.exports = {
  path: '/v1/embeddings',

  complaint(body) {
    if (!isFilled(body.input)) return "'input' must be a text or a list";
    if (!isLimit(body.dimensions)) return "'dimensions' must be a positive integer";
    return null;
  },

  answer(body) {
    // A list of numbers is one input, already cut into tokens.
    const many = Array.isArray(body.input) && typeof body.input[0] !== 'number';
    const inputs = many ? body.input : [body.input];
    const asBase64 = body.encoding_format === 'base64';
    const tokens = inputs.reduce((sum, input) => sum + countOf(input), 0);
    return {
      tokens,
      json: {
        object: 'list',
        data: inputs.map((input, index) => {
          const vector = vectorOf(input, body.dimensions ?? 1536);
          const embedding = asBase64
            ? Buffer.from(vector.buffer).toString('base64')
            : Array.from(vector);
          return { object: 'embedding', index, embedding };
        }),
        model: body.model,
        usage: { prompt_tokens: tokens, total_tokens: tokens },
      },
    };
  },
};

function countOf(input) {
  return Array.isArray(input) ? input.length : tokensOf(textOf(input)).length;
}

/** A vector of length 1 that depends on the input, and means nothing. */
function vectorOf(input, dimensions) {
  let state = createHash('sha256').update(JSON.stringify(input)).digest().readUInt32LE();
  const raw = Float32Array.from({ length: dimensions }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
  const length = Math.hypot(...raw) || 1;
  return raw.map((value) => value / length);
}
