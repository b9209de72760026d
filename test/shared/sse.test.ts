import { expect } from 'chai';
import * as fc from 'fast-check';
import { type SseFault, SseReader } from '../../policies/shared/sse.ts';
import { cutAt } from '../fixtures/validate.ts';

type Event = [name: string, data: string];

function eventsOf(
  pieces: readonly (string | Uint8Array)[],
  maxSize = 1 << 20,
): { events: Event[]; faults: SseFault[] } {
  const events: Event[] = [];
  const faults: SseFault[] = [];
  const reader = new SseReader(
    {
      event: (name, data) => events.push([name, data]),
      fault: (fault) => faults.push(fault),
    },
    maxSize,
  );
  for (const piece of pieces) {
    reader.chunk(typeof piece === 'string' ? new TextEncoder().encode(piece) : piece);
  }
  reader.end();
  return { events, faults };
}

const text =
  'event: a\ndata: one 😀\n\n: a comment\ndata:two\ndata:  three\nid: 7\n\ndata: {"x":1}\n\n';
const expected: Event[] = [
  ['a', 'one 😀'],
  ['', 'two\n three'],
  ['', '{"x":1}'],
];

describe('The SSE reader', () => {
  it('The SSE reader gives each event its name and its data lines', () => {
    expect(eventsOf([text])).to.deep.equal({ events: expected, faults: [] });
  });

  for (const [name, lineEnd] of [
    ['CR', '\r'],
    ['CRLF', '\r\n'],
  ] as const) {
    it(`The SSE reader takes ${name} for a line end`, () => {
      expect(eventsOf([text.replaceAll('\n', lineEnd)]).events).to.deep.equal(expected);
    });
  }

  it('The SSE reader takes mixed line ends, wherever the stream is cut', () => {
    const lines = text.split('\n');
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('\n', '\r', '\r\n'), {
          minLength: lines.length,
          maxLength: lines.length,
        }),
        fc.array(fc.nat(200)),
        (ends, cuts) => {
          const mixed = lines.map((line, at) => {
            // A line that ends in CR and is followed by one that is LF alone would be one line end.
            const end = lines[at + 1] === '' && ends[at] === '\r' ? '\r\n' : ends[at];
            return at === lines.length - 1 ? line : line + end;
          });
          const bytes = new TextEncoder().encode(mixed.join(''));
          expect(eventsOf(cutAt(bytes, cuts)).events).to.deep.equal(expected);
        },
      ),
    );
  });

  it('The SSE reader sees one line end in a CRLF that is cut in two', () => {
    expect(eventsOf(['data: a\r', '\ndata: b\r', '\n\r', '\n']).events).to.deep.equal([
      ['', 'a\nb'],
    ]);
  });

  it('The SSE reader skips a byte order mark at the start, even in pieces, and nowhere else', () => {
    const bytes = new TextEncoder().encode('\uFEFFdata: a\n\n\uFEFFdata: b\n\ndata: \uFEFFc\n\n');
    const pieces = cutAt(bytes, [1, 2, 3]);
    expect(eventsOf(pieces).events).to.deep.equal([
      ['', 'a'],
      ['', '\uFEFFc'],
    ]);
  });

  it('The SSE reader ignores comments, retry and unknown fields', () => {
    const { events } = eventsOf([
      ': hi\n:\nretry: 10\nretry: x\nfoo: bar\nfoo\ndata: a\n:x\n\n\n\n',
    ]);
    expect(events).to.deep.equal([['', 'a']]);
  });

  it('The SSE reader gives no event without a data line, and one for an empty data line', () => {
    expect(eventsOf(['event: a\n\nid: 1\n\ndata\n\ndata:\n\n']).events).to.deep.equal([
      ['', ''],
      ['', ''],
    ]);
  });

  for (const [what, ending] of [
    ['its blank line', '\n'],
    ['its last line end', ''],
    ['half of its last CRLF', '\r'],
    ['half of its blank CRLF', '\r\n\r'],
  ] as const) {
    it(`The SSE reader gives the last event though ${what} is missing`, () => {
      expect(eventsOf([`data: a\n\ndata: b${ending}`]).events).to.deep.equal([
        ['', 'a'],
        ['', 'b'],
      ]);
    });
  }

  it('The SSE reader joins a character that is cut between two chunks', () => {
    const bytes = new TextEncoder().encode('data: 😀\n\n');
    for (let at = 0; at < bytes.length; at++) {
      expect(eventsOf(cutAt(bytes, [at])).events).to.deep.equal([['', '😀']]);
    }
  });

  it('The SSE reader reads on over bytes that are not UTF-8', () => {
    const bytes = [...new TextEncoder().encode('data: a'), 0xff, 0xc3, 0x0a, 0x0a];
    expect(eventsOf([new Uint8Array(bytes)]).events).to.deep.equal([['', 'a\uFFFD\uFFFD']]);
    expect(eventsOf([new Uint8Array(bytes.slice(0, -2))]).events).to.deep.equal([
      ['', 'a\uFFFD\uFFFD'],
    ]);
  });

  it('The SSE reader drops an event that outgrows the limit, reports it, and reads on after it', () => {
    const pieces = ['data: a\n\ndata: ', ...Array<string>(100).fill('x'.repeat(10))];
    const { events, faults } = eventsOf([...pieces, '\n\ndata: b\n\n'], 64);
    expect(events).to.deep.equal([
      ['', 'a'],
      ['', 'b'],
    ]);
    expect(faults).to.include('too-large');
  });

  it('The SSE reader drops an event whose lines together outgrow the limit', () => {
    const pieces = [...Array<string>(20).fill('data: 0123456789\n'), '\ndata: b\n\n'];
    const { events, faults } = eventsOf(pieces, 64);
    expect(faults).to.include('too-large');
    expect(events.at(-1)).to.deep.equal(['', 'b']);
    for (const [, data] of events) expect(data.length).to.be.at.most(64);
  });

  it('The SSE reader never throws, whatever the bytes and however they come', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom('data: ', 'event: a', '\n', '\r', '\r\n', '\n\n', ':', '\uFEFF', '😀'),
    );
    fc.assert(
      fc.property(fc.array(piece), fc.integer({ min: 1, max: 50 }), (pieces, maxSize) => {
        eventsOf(pieces, maxSize);
      }),
    );
  });
});
