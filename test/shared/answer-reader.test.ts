import { expect } from 'chai';
import * as fc from 'fast-check';
import { ByteBudget } from '../../policies/shared/bytes/budget.ts';
import { asJson, cutAt, finished, validate, protocolOf, readerOf } from '../fixtures/validate.ts';
import { chatChunk, chatPayloads, framed, smallStreams, streaming } from '../fixtures/streams.ts';

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array | null) => new TextDecoder().decode(bytes ?? undefined);

const chatJson = JSON.stringify({
  id: 'c1',
  model: 'gpt-4o',
  choices: [{ index: 0, message: { content: 'Grüße 😀' }, finish_reason: 'stop' }],
  usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 },
});
const usage = { inputTokens: 7, outputTokens: 3, totalTokens: 10, details: {} };

describe('The answer reader', () => {
  describe('The Content-Type', () => {
    for (const contentType of [
      'text/event-stream',
      'Text/Event-Stream;charset=UTF-8',
      ' text/event-stream ; x=y',
    ]) {
      it(`The answer reader reads ${JSON.stringify(contentType)} as a stream`, () => {
        expect(validate('chat', smallStreams.chat, { contentType }).fault).to.equal(null);
        expect(validate('chat', chatJson, { contentType }).fault).to.not.equal(null);
      });
    }

    for (const contentType of [
      'application/json',
      'Application/JSON; charset=utf-8',
      'application/problem+json',
      'application/vnd.api+JSON;v=1',
    ]) {
      it(`The answer reader reads ${JSON.stringify(contentType)} as JSON`, () => {
        expect(validate('chat', chatJson, { contentType }).fault).to.equal(null);
        expect(validate('chat', smallStreams.chat, { contentType }).fault).to.equal('malformed');
      });
    }

    for (const contentType of [
      '',
      'text/plain',
      'text/html',
      'application/jsonl',
      'application/octet-stream',
      'text/event-stream-ish',
    ]) {
      it(`The answer reader reads nothing of ${JSON.stringify(contentType)}`, () => {
        const budget = new ByteBudget(0);
        const answer = validate('chat', chatJson, { contentType, budget });
        expect(answer).to.deep.include({ fault: 'content-type', body: null, usage: null });
      });
    }
  });

  describe('A JSON body', () => {
    it('The answer reader returns a JSON body byte for byte, with its id, model and usage', () => {
      const pieces = cutAt(encode(chatJson), [1, 5, 5, 60, 120]);
      const { body, ...rest } = validate('chat', pieces, asJson);
      expect(decode(body)).to.equal(chatJson);
      expect(rest).to.deep.equal({
        id: 'c1',
        model: 'gpt-4o',
        usage,
        finishReasons: ['stop'],
        refused: false,
        parts: 1,
        expiresAt: null,
        fault: null,
        cut: null,
        status: 200,
        headers: { 'content-type': 'application/json' },
      });
    });

    it('The answer reader returns a body in memory of its own', () => {
      const large = encode(`${' '.repeat(10_000)}${chatJson}`);
      const { body } = validate('chat', large.subarray(10_000), asJson);
      expect(decode(body)).to.equal(chatJson);
      expect(body?.buffer.byteLength).to.equal(body?.length);
    });

    it('The answer reader reads a body that is not to be kept, too', () => {
      const answer = validate('chat', chatJson, { ...asJson, keep: false });
      expect(answer).to.deep.include({ fault: null, body: null, usage });
    });

    it('The answer reader takes no prefix of a JSON body for whole', () => {
      const bytes = encode(chatJson);
      for (let length = 1; length < bytes.length; length++) {
        expect(validate('chat', bytes.subarray(0, length), asJson).fault).to.equal('malformed');
      }
    });

    for (const [body, fault] of [
      ['Hello', 'malformed'],
      [`${chatJson}x`, 'malformed'],
      [' ', 'malformed'],
      ['[]', 'incomplete'],
      ['null', 'incomplete'],
      ['"text"', 'incomplete'],
      ['{}', 'incomplete'],
      ['{"error":{"message":"no"}}', 'error-in-body'],
    ] as const) {
      it(`The answer reader finds ${JSON.stringify(body.slice(-30))} ${fault}`, () => {
        expect(validate('chat', body, asJson)).to.deep.include({ fault, body: null });
      });
    }

    it('The answer reader finds bytes that are not UTF-8 malformed', () => {
      const bytes = encode(chatJson);
      bytes[bytes.indexOf(0xc3)] = 0xff;
      expect(validate('chat', bytes, asJson).fault).to.equal('malformed');
    });
  });

  describe('A stream', () => {
    for (const protocol of streaming) {
      const stream = smallStreams[protocol];
      const bytes = encode(stream);
      const ending = encode(stream.trimEnd()).length;

      it(`The answer reader finds a ${protocol} stream whole at the last byte of its ending, not before`, () => {
        for (let length = 1; length <= bytes.length; length++) {
          const { fault } = validate(protocol, bytes.subarray(0, length));
          expect(fault === null, `${length} of ${bytes.length}: ${fault}`).to.equal(
            length >= ending,
          );
        }
      });

      it(`The answer reader finds the same in a ${protocol} stream, however it is cut`, () => {
        const whole = validate(protocol, stream);
        expect(validate(protocol, cutAt(bytes, [...bytes.keys()]))).to.deep.equal(whole);
        fc.assert(
          fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
            const answer = validate(protocol, cutAt(bytes, cuts));
            expect(answer).to.deep.equal({ ...whole, body: bytes });
          }),
        );
      });

      it(`The answer reader accepts a ${protocol} stream with other line ends, a BOM or comments`, () => {
        const { body: _, ...whole } = validate(protocol, stream);
        for (const variant of [
          stream.replaceAll('\n', '\r\n'),
          stream.replaceAll('\n', '\r'),
          `\uFEFF${stream}`,
          `: hello\n\n${stream.replaceAll('\n\n', '\n: ping\n\n\n: pong\n')}`,
          stream.trimEnd(),
          stream.trimEnd().replaceAll('\n', '\r'),
          `${stream}\n\n: bye\n\nevent: nothing\nid: 3\n\n`,
        ]) {
          const { body, ...answer } = validate(protocol, variant);
          expect(answer).to.deep.equal(whole);
          expect(body).to.deep.equal(encode(variant));
        }
      });

      it(`The answer reader refuses a ${protocol} stream with anything after its ending`, () => {
        for (const more of ['data: {}\n\n', 'data: x\n\n', 'data: [DONE]\n\ndata: [DONE]\n\n']) {
          const answer = validate(protocol, stream + more);
          expect(answer).to.deep.include({ fault: 'after-ending', body: null });
          expect(answer.usage).to.deep.equal(validate(protocol, stream).usage);
        }
      });

      it(`The answer reader refuses a ${protocol} stream with a payload that is not an object, and reads on`, () => {
        for (const payload of ['{', '[]', '1', 'null', '"x"', ' [DONE] .', '[done]']) {
          const answer = validate(protocol, `data: ${payload}\n\n${stream}`);
          expect(answer).to.deep.include({ fault: 'malformed', body: null });
          expect(answer.usage).to.deep.equal(validate(protocol, stream).usage);
        }
      });
    }

    it('The answer reader takes [DONE] for an ending only in chat', () => {
      expect(validate('messages', `data: [DONE]\n\n${smallStreams.messages}`).fault).to.equal(
        'malformed',
      );
      expect(validate('responses', `data: [DONE]\n\n${smallStreams.responses}`).fault).to.equal(
        'malformed',
      );
      expect(validate('messages', `${smallStreams.messages}data: [DONE]\n\n`).fault).to.equal(
        'after-ending',
      );
      expect(validate('responses', `${smallStreams.responses}data: [DONE]\n\n`).fault).to.equal(
        null,
      );
    });

    it('The answer reader calls an event that is cut off incomplete, not malformed', () => {
      expect(validate('chat', 'data: {"choices":[]}\n\ndata: {"cho').fault).to.equal('incomplete');
      expect(validate('chat', 'data: {"cho\n\ndata: {"choices":[]}\n\n').fault).to.equal(
        'malformed',
      );
    });

    it('The answer reader finds a stream of comments alone incomplete', () => {
      expect(validate('chat', ': hello\n\n').fault).to.equal('incomplete');
    });

    it('The answer reader tells the first of several faults', () => {
      const error = 'data: {"error":{"message":"overloaded"}}\n\n';
      expect(validate('chat', `data: {\n\n${error}`).fault).to.equal('malformed');
      expect(validate('chat', `${error}data: {\n\n`).fault).to.equal('error-in-body');
      const late = [encode(error), encode(smallStreams.chat)];
      expect(validate('chat', late, { maxBytes: error.length }).fault).to.equal('error-in-body');
    });

    it('The answer reader finds no embeddings in a stream', () => {
      expect(validate('embeddings', smallStreams.chat).fault).to.equal('incomplete');
    });
  });

  describe('A body that broke off', () => {
    it('The answer reader tells what it knew of a body when it broke off', () => {
      const reader = readerOf('messages');
      reader.chunk(encode(smallStreams.messages.slice(0, 200)));
      expect(finished(reader, 'client-left')).to.deep.equal({
        id: 'm1',
        model: 'claude',
        usage: { inputTokens: 7, outputTokens: 1, totalTokens: 8, details: {} },
        finishReasons: [null],
        refused: false,
        parts: null,
        expiresAt: null,
        fault: 'client-left',
        cut: 'client-left',
        body: null,
        status: 200,
        headers: { 'content-type': 'text/event-stream; charset=utf-8' },
      });
    });

    it('The answer reader tells why a body was not read to its end', () => {
      const cutOf = (body: string, settings: object, reason: 'aborted' | 'too-large') => {
        const reader = readerOf('chat', settings);
        reader.chunk(encode(body));
        return finished(reader, reason).cut;
      };
      expect(cutOf(smallStreams.chat.slice(0, 90), {}, 'aborted')).to.equal('aborted');
      expect(cutOf(smallStreams.chat, {}, 'aborted'), 'behind its ending').to.equal(null);
      expect(cutOf(chatJson, asJson, 'aborted')).to.equal('aborted');
      expect(cutOf(chatJson, { ...asJson, maxBytes: 9 }, 'aborted')).to.equal('too-large');
      expect(validate('chat', chatJson, { ...asJson, maxBytes: 9 }).cut).to.equal('too-large');
      expect(validate('chat', chatJson, asJson).cut).to.equal(null);
      expect(
        validate('chat', smallStreams.chat, { maxBytes: 99 }).cut,
        'read all the same',
      ).to.equal(null);
    });

    it('The answer reader is done once nothing more is worth decoding', () => {
      const doneAfter = (body: string, settings: object) => {
        const reader = readerOf('chat', settings);
        reader.chunk(encode(body));
        return reader.isDone;
      };
      expect(doneAfter('{', asJson)).to.equal(false);
      expect(doneAfter('{'.repeat(10), { ...asJson, maxBytes: 9 })).to.equal(true);
      expect(doneAfter('{', { ...asJson, budget: new ByteBudget(0) })).to.equal(true);
      expect(doneAfter('<p>', { contentType: 'text/html' })).to.equal(true);
      // There may be usage at its end.
      expect(doneAfter('data: {"error":1}\n\n', { maxBytes: 9 })).to.equal(false);
    });

    it('The answer reader takes no answer for whole that broke off after its ending', () => {
      const reader = readerOf('chat');
      reader.chunk(encode(smallStreams.chat));
      expect(finished(reader, 'aborted')).to.deep.include({ fault: 'aborted', body: null });
    });

    it('The answer reader keeps an earlier fault when the body breaks off', () => {
      const reader = readerOf('chat');
      reader.chunk(encode('data: {\n\n'));
      expect(finished(reader, 'aborted').fault).to.equal('malformed');
    });

    it('The answer reader tells nothing of a JSON body that broke off', () => {
      const reader = readerOf('chat', asJson);
      reader.chunk(encode(chatJson));
      expect(finished(reader, 'aborted')).to.deep.include({
        fault: 'aborted',
        body: null,
        id: null,
      });
    });
  });

  it('The answer reader says no-body where none came', () => {
    for (const contentType of ['application/json', 'text/event-stream', '']) {
      expect(validate('chat', '', { contentType }).fault).to.equal('no-body');
    }
  });

  it('The answer reader gives the same answer again, and ignores bytes after it', () => {
    const reader = readerOf('chat');
    reader.chunk(encode(smallStreams.chat));
    const answer = finished(reader);
    reader.chunk(encode('data: {'));
    expect(finished(reader)).to.equal(answer);
    expect(finished(reader, 'aborted')).to.equal(answer);
  });

  describe('Held bytes', () => {
    const half = Math.floor(smallStreams.chat.length / 2);
    const [first, second] = [smallStreams.chat.slice(0, half), smallStreams.chat.slice(half)].map(
      encode,
    ) as [Uint8Array, Uint8Array];
    const size = first.length + second.length;

    it('The answer reader charges its budget chunk by chunk, and frees it at the end', () => {
      const budget = new ByteBudget(size);
      const reader = readerOf('chat', { budget });
      reader.chunk(first);
      expect(budget.held).to.equal(first.length);
      reader.chunk(second);
      expect(budget.held).to.equal(size);
      expect(finished(reader).body?.length).to.equal(size);
      expect(budget.held).to.equal(0);
    });

    it('The answer reader frees its budget once when the body breaks off', () => {
      const budget = new ByteBudget(size);
      const reader = readerOf('chat', { budget });
      reader.chunk(first);
      reader.abort('aborted');
      reader.end();
      expect(budget.held).to.equal(0);
    });

    it('The answer reader frees its budget as soon as something is wrong', () => {
      const budget = new ByteBudget(1000);
      readerOf('chat', { budget }).chunk(encode('data: {\n\n'));
      expect(budget.held).to.equal(0);
    });

    it('The answer reader holds nothing of a stream that is not to be kept', () => {
      const budget = new ByteBudget(0);
      const answer = validate('chat', smallStreams.chat, { budget, keep: false });
      expect(answer).to.deep.include({ fault: null, body: null, usage });
    });

    it('The answer reader keeps a body of exactly the maximum size', () => {
      expect(validate('chat', [first, second], { maxBytes: size }).fault).to.equal(null);
    });

    for (const [what, fault, settings] of [
      ['a body that is larger', 'too-large', { maxBytes: size - 1 }],
      [
        'a body that the budget has no room for',
        'buffer-limit',
        { budget: new ByteBudget(size - 1) },
      ],
    ] as const) {
      it(`The answer reader forgets ${what} at once, and reads the stream on for its usage`, () => {
        const budget = 'budget' in settings ? settings.budget : new ByteBudget(1 << 20);
        const reader = readerOf('chat', { ...settings, budget });
        reader.chunk(first);
        reader.chunk(second);
        expect(budget.held).to.equal(0);
        expect(finished(reader)).to.deep.include({ fault, body: null, id: 'c1', usage });
      });

      it(`The answer reader gives up ${what} where it is JSON`, () => {
        const limit = 'budget' in settings ? { budget: new ByteBudget(20) } : { maxBytes: 20 };
        const answer = validate('chat', cutAt(encode(chatJson), [10, 30]), { ...asJson, ...limit });
        expect(answer).to.deep.include({ fault, body: null, usage: null });
      });
    }

    it('The answer reader reads a JSON body from the reserve where the budget is full, and does not keep it', () => {
      const bytes = encode(chatJson);
      const [budget, reserve] = [new ByteBudget(100), new ByteBudget(bytes.length)];
      const reader = readerOf('chat', { ...asJson, budget, reserve });
      for (const piece of cutAt(bytes, [10, 30, 200])) reader.chunk(piece);
      expect([budget.held, reserve.held]).to.deep.equal([0, bytes.length]);
      expect(finished(reader)).to.deep.include({ fault: 'buffer-limit', body: null, usage });
      expect(reserve.held).to.equal(0);
    });

    it('The answer reader holds nothing of a stream in the reserve', () => {
      const [budget, reserve] = [new ByteBudget(0), new ByteBudget(1 << 20)];
      const reader = readerOf('chat', { budget, reserve });
      reader.chunk(first);
      expect(reserve.held).to.equal(0);
      reader.chunk(second);
      expect(finished(reader)).to.deep.include({ fault: 'buffer-limit', body: null, usage });
    });

    it('The answer reader drops an event larger than the limit, and reads on for the usage', () => {
      const huge = framed([chatChunk({ content: 'x'.repeat(5000) })]);
      const bytes = encode(huge + smallStreams.chat);
      const pieces = cutAt(
        bytes,
        Array.from({ length: 60 }, (_, at) => at * 100),
      );
      const answer = validate('chat', pieces, { maxBytes: 1000, keep: false });
      expect(answer).to.deep.include({ fault: 'too-large', usage });
    });
  });

  it('The answer reader never throws, whatever the body', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 30 }),
      fc.json().map((json) => encode(`data: ${json}\n\n`)),
      fc.constantFrom('data: [DONE]\n\n', 'data: ', '\n\n', 'event: error\n', '{}').map(encode),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...streaming, 'embeddings' as const),
        fc.constantFrom('application/json', 'text/event-stream', ''),
        fc.array(piece),
        fc.integer({ min: 1, max: 200 }),
        fc.boolean(),
        (protocol, contentType, pieces, maxBytes, breaks) => {
          const budget = new ByteBudget(150);
          const reader = readerOf(protocol, { contentType, maxBytes, budget });
          for (const one of pieces) reader.chunk(one);
          const answer = finished(reader, breaks ? 'aborted' : 'end');
          expect(answer.fault === null).to.equal(answer.body !== null);
          expect(budget.held).to.equal(0);
        },
      ),
    );
  });

  it('The answer reader gives up an answer when its protocol throws', () => {
    const budget = new ByteBudget(1 << 20);
    const fails = () => {
      throw new Error('no');
    };
    const broken = {
      ...protocolOf('chat'),
      readAnswer: fails,
      streamReader: () => ({
        ended: false,
        fault: null,
        event: fails,
        done: fails,
        reading: fails,
      }),
    };
    for (const contentType of ['application/json', 'text/event-stream']) {
      for (const finish of ['end', 'aborted'] as const) {
        const reader = readerOf(broken, { contentType, budget });
        reader.chunk(encode(contentType === 'application/json' ? '{}' : framed(chatPayloads)));
        const answer = finished(reader, finish);
        expect(answer.fault).to.be.oneOf(['malformed', 'aborted']);
        expect(budget.held).to.equal(0);
      }
    }
  });
});
