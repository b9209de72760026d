import { expect } from 'chai';
import { inTurn, runTurn } from '../../policies/hosts/node/turn.ts';
import { PriceList } from '../../policies/llm-usage/price-list.ts';
import { Recorder } from '../../policies/llm-usage/recorder.ts';
import type { UsageRecord } from '../../policies/llm-usage/usage-record.ts';
import { nodeDigest } from '../../policies/hosts/node/digest.ts';
import type { Exchange } from '../../policies/shared/exchange.ts';
import { FaultLog } from '../../policies/shared/faults.ts';
import { makeRequest } from '../support/llm-request.ts';
import { keptLog } from '../support/sinks-records.ts';

const exchange: Exchange = {
  request: makeRequest(),
  status: 200,
  providerStatus: 200,
  cacheType: null,
  cacheKey: null,
  answer: null,
  saved: null,
  whenOver() {},
};

describe('The records of one turn of the event loop', () => {
  for (const [whose, makesWait] of [
    ['a sink of the gateway', false],
    ["an application's own function", true],
  ] as const) {
    it(`The recorder makes all records of a turn, for ${whose}, where what one of them is handed on to throws`, async () => {
      const log = keptLog();
      const made: UsageRecord[] = [];
      const recorder = new Recorder({
        record: (one) => {
          made.push(one);
          return makesWait ? Promise.resolve() : undefined;
        },
        provider: null,
        prices: new PriceList({}),
        digest: nodeDigest('a secret'),
        faults: new FaultLog(log),
        defer: inTurn,
      });
      let told = 0;
      for (let count = 0; count < 3; count++) {
        recorder.record(exchange, recorder.arrive(), null, () => {
          if (++told === 1) throw new TypeError('no');
        });
      }
      runTurn();
      await new Promise((resolve) => setImmediate(resolve));
      expect([made.length, told]).to.deep.equal([3, 3]);
      expect(log.lines.join()).to.match(/a request could not be recorded: TypeError/);
    });
  }
});
