import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect } from 'chai';
import * as fc from 'fast-check';
import { refusalOf } from '../../../policies/llm-cache/response-rules.ts';
import type { Answer } from '../../../policies/shared/answer.ts';
import { protocolNames } from '../../../policies/shared/protocols/index.ts';
import type { ProtocolName } from '../../../policies/shared/protocols/protocol.ts';
import type { RefusalReason } from '../../../policies/shared/reasons.ts';
import { makeBody, now } from '../../support/llm-request.ts';
import type { Usage } from '../../../policies/shared/usage.ts';
import {
  finished,
  asJson,
  cutAt,
  validate,
  protocolOf,
  readerOf,
} from '../../fixtures/validate.ts';

// Real answers of ten providers; not part of the package.
const folder = resolve(process.cwd(), '../shared/recordings');

interface Recording {
  readonly protocol: ProtocolName;
  readonly file: string;
  readonly bytes: Uint8Array;
}

function recordings(extension: string): Recording[] {
  const recorded = protocolNames.filter((protocol) => existsSync(resolve(folder, protocol)));
  return recorded.flatMap((protocol) =>
    readdirSync(resolve(folder, protocol))
      .filter((name) => name.endsWith(extension))
      .map((name) => ({
        protocol,
        file: `${protocol}/${name}`,
        bytes: new Uint8Array(readFileSync(resolve(folder, protocol, name))),
      })),
  );
}

/** What must not be stored for a request that asks for nothing special, and why. */
const refused: Readonly<Record<string, RefusalReason>> = {
  // Cut at a limit that nobody asked for: the API's own default of 16 tokens.
  'completions/openai-completion-text.json': 'limit',
  'completions/openai-completion-text.sse': 'limit',
  'messages/anthropic-refusal.json': 'finish-reason',
  'messages/anthropic-refusal.sse': 'finish-reason',
  'responses/openai-error.1.sse': 'error-in-body',
  // The closing brace of two of its payloads is missing.
  'responses/openai-parallel-tool-call-wrapper.1.sse': 'malformed',
  // Four answers in one body.
  'responses/openai-reasoning-encrypted-content.1.sse': 'after-ending',
};

type Facts = [id: string | null, model: string, counts: (number | null)[], details: object];

const facts: Readonly<Record<string, Facts>> = {
  'chat/openai-text.sse': [
    'chatcmpl-D8Z5oo6uDh67AD85p73ksdT1KxhE0',
    'gpt-4.1-nano-2025-04-14',
    [16, 300, 316],
    {
      cached_tokens: 0,
      reasoning_tokens: 0,
      input_audio_tokens: 0,
      output_audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  ],
  'chat/deepseek-tool-call.sse': [
    'cca85624-4056-401f-b220-d77601d1f70d',
    'deepseek-reasoner',
    [339, 83, 422],
    { cached_tokens: 320, reasoning_tokens: 39 },
  ],
  'chat/groq-tool-call.sse': [
    'chatcmpl-b610d559-f156-4aca-8827-24b4fe6af54f',
    'llama-3.3-70b-versatile',
    [210, 15, 225],
    {},
  ],
  'chat/mistral-reasoning.sse': [
    'a4e29c5b82f94d67b23e108a7c9df6e1',
    'magistral-medium-2507',
    [10, 46, 56],
    {},
  ],
  'chat/moonshotai-stream.sse': [
    'chatcmpl-stream',
    'kimi-k3',
    [9, 12, 21],
    { reasoning_tokens: 7 },
  ],
  'chat/openai-azure-model-router.1.sse': [
    'chatcmpl-CYPS1lijGoK8gd9lYzY3r9Sx50nbt',
    'gpt-5-nano-2025-08-07',
    [15, 78, 93],
    {
      cached_tokens: 0,
      reasoning_tokens: 64,
      input_audio_tokens: 0,
      output_audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  ],
  'chat/perplexity-citations.sse': [
    '58cb9740-f356-49e9-b71e-a02a1376c1b9',
    'sonar',
    [10, 336, 346],
    {},
  ],
  'chat/xai-text.json': [
    '2af5c888-e886-6dcb-7844-95f8fe010b00',
    'grok-3-mini',
    [12, 1, 241],
    {
      cached_tokens: 2,
      reasoning_tokens: 228,
      input_text_tokens: 12,
      input_audio_tokens: 0,
      input_image_tokens: 0,
      output_audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
      sources_used: 0,
    },
  ],
  'completions/openai-completion-text.json': [
    'cmpl-D8ZFHlGItjM5Nghki1LmZIRscBz2P',
    'gpt-3.5-turbo-instruct:20230824-v2',
    [14, 16, 30],
    {},
  ],
  'embeddings/openai-embedding.json': [null, 'text-embedding-3-small', [12, null, 12], {}],
  'messages/anthropic-text.sse': [
    'msg_01QC4g3HwBThD4BaNtBckFDJ',
    'claude-sonnet-4-5-20250929',
    [12, 30, 42],
    { cached_tokens: 0, cache_write_tokens: 0, cache_write_1h_tokens: 0 },
  ],
  'messages/anthropic-web-fetch-tool.1.sse': [
    'msg_01GpfwV1W5Ase72fzb8F45bX',
    'claude-sonnet-4-20250514',
    [4230, 446, 4676],
    {
      cached_tokens: 0,
      cache_write_tokens: 0,
      cache_write_1h_tokens: 0,
      web_search_requests: 0,
      web_fetch_requests: 1,
    },
  ],
  'responses/openai-phase.1.sse': [
    'resp_0a63f40a2632b74300699f8818e5648196a8fa657ae8091421',
    'gpt-5.3-codex',
    [7112, 463, 7575],
    { cached_tokens: 3072, reasoning_tokens: 64 },
  ],
  'responses/open-responses-lmstudio-basic.1.sse': [
    'resp_604f426346767f2cd7f98c793d9cfd27cba9ef834509019c',
    'gemma-7b-it',
    [31, 282, 313],
    { cached_tokens: 30, reasoning_tokens: 0 },
  ],
  'responses/xai-x-search-tool.1.json': [
    '84c1a8ea-1f29-4a33-1049-0ed3561b0f64_us-east-1',
    'grok-4-fast-reasoning',
    [8397, 1805, 10202],
    { cached_tokens: 608, reasoning_tokens: 580, sources_used: 0, server_tool_calls: 1 },
  ],
};

const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const encode = (text: string) => new TextEncoder().encode(text);
const settingsOf = (file: string) => (file.endsWith('.json') ? asJson : {});

function verdict({ protocol, file, bytes }: Recording, request = {}): RefusalReason | null {
  const answer = validate(protocol, bytes, settingsOf(file));
  const asked = encode(JSON.stringify({ stream: file.endsWith('.sse'), ...request }));
  const known = now(makeBody(asked).facts({ protocol: protocolOf(protocol), path: '', query: '' }));
  return refusalOf(answer, protocolOf(protocol), known);
}

function withoutBody({ body: _, ...rest }: Answer): Omit<Answer, 'body'> {
  return rest;
}

/** The data line of the ending, by eye: where it starts and where it ends, in bytes. */
function endingOf({ protocol, bytes }: Recording): { start: number; end: number } {
  const text = decode(bytes);
  const marks: Partial<Record<ProtocolName, string>> = {
    chat: '[DONE]',
    completions: '[DONE]',
    responses: '{"type":"response.completed"',
    messages: '{"type":"message_stop"',
  };
  const at = text.indexOf(`data: ${marks[protocol]}`);
  const end = text.indexOf('\n', at);
  return { start: encode(text.slice(0, at)).length, end: encode(text.slice(0, end)).length };
}

/** Bytes that one test may read over and over. */
const work = 30_000_000;

/**
 * The lengths at which a recording is cut: all where it is small, else all around its ending's
 * first and last bytes and a sample of the rest.
 */
function cutsOf({ bytes }: Recording, ending: { start: number; end: number }): number[] {
  const step = Math.ceil(bytes.length ** 2 / work);
  return Array.from(bytes, (_, at) => at + 1).filter(
    (length) =>
      length % step === 0 ||
      Math.abs(length - ending.start) < 100 ||
      Math.abs(length - ending.end) < 100,
  );
}

describe('Recorded answers', () => {
  if (!existsSync(folder)) {
    it('Recorded answers are judged where there are recordings', function () {
      console.log(`    no recordings in ${folder}: skipped`);
      this.skip();
    });
    return;
  }
  const streams = recordings('.sse');
  const bodies = recordings('.json');
  const all = [...streams, ...bodies];

  it('Recorded answers exist for every expected verdict', () => {
    const files = all.map(({ file }) => file);
    expect(files).to.include.members([...Object.keys(refused), ...Object.keys(facts)]);
  });

  for (const recording of all) {
    const { protocol, file, bytes } = recording;
    const reason = refused[file] ?? null;
    const verb = reason === null ? 'can be stored, byte for byte' : `is refused: ${reason}`;

    it(`The recorded answer ${file} ${verb}`, () => {
      expect(verdict(recording)).to.equal(reason);
      const { fault, body } = validate(protocol, bytes, settingsOf(file));
      expect(body).to.deep.equal(fault === null ? bytes : null);
    });
  }

  it('A recorded answer that was cut at a length is stored where the request set it', () => {
    for (const recording of all.filter(({ file }) => refused[file] === 'limit')) {
      expect(verdict(recording, { max_tokens: 16 })).to.equal(null);
    }
  });

  for (const recording of all.filter(({ file }) => file in facts)) {
    it(`The recorded answer ${recording.file} tells its id, model and usage`, () => {
      const [id, model, [inputTokens, outputTokens, totalTokens], details] = facts[
        recording.file
      ] as Facts;
      const answer = validate(recording.protocol, recording.bytes, settingsOf(recording.file));
      const usage = { inputTokens, outputTokens, totalTokens, details } as Usage;
      expect(answer).to.deep.include({ id, model, usage });
    });
  }

  for (const { protocol, file, bytes } of bodies) {
    it(`The recorded answer ${file} is malformed wherever it is cut`, () => {
      const text = decode(bytes).trimEnd();
      const step = Math.ceil(text.length ** 2 / work);
      for (let length = 1; length < text.length; length += step) {
        expect(validate(protocol, text.slice(0, length), asJson).fault).to.equal('malformed');
      }
    });
  }

  for (const recording of streams) {
    const { protocol, file, bytes } = recording;
    const whole = validate(protocol, bytes);

    it(`The recorded answer ${file} is judged the same in any pieces`, () => {
      const reader = readerOf(protocol);
      for (let at = 0; at < bytes.length; at++) reader.chunk(bytes.subarray(at, at + 1));
      expect(finished(reader)).to.deep.equal(whole);
      fc.assert(
        fc.property(fc.array(fc.nat(bytes.length), { maxLength: 50 }), (cuts) => {
          expect(validate(protocol, cutAt(bytes, cuts))).to.deep.equal(whole);
        }),
        { numRuns: 20 },
      );
    });

    it(`The recorded answer ${file} is judged the same with other line ends, a BOM or comments`, () => {
      const text = decode(bytes);
      for (const variant of [
        text.replaceAll('\n', '\r\n'),
        text.replaceAll('\n', '\r'),
        text.replaceAll('\n\n', '\r\n\n'),
        `\uFEFF${text}`,
        text.replaceAll('\n\n', '\n: ping\n\n: pong\n\n\n'),
        text.replaceAll('data: ', 'data:'),
        text.trimEnd(),
        text.trimEnd().replaceAll('\n', '\r'),
        `${text}\n\n: bye`,
      ]) {
        expect(withoutBody(validate(protocol, variant))).to.deep.equal(withoutBody(whole));
      }
    });

    if (whole.fault !== null) continue;

    it(`The recorded answer ${file} is whole at the last byte of its ending, and not before`, () => {
      const ending = endingOf(recording);
      for (const length of cutsOf(recording, ending)) {
        const { fault } = validate(protocol, bytes.subarray(0, length));
        const found = `cut at ${length} of ${bytes.length}: ${fault}`;
        if (length >= ending.end) expect(fault, found).to.equal(null);
        else expect(fault, found).to.equal('incomplete');
      }
    });
  }

  it('The recorded answer of four in one body is whole up to the ending of the first', () => {
    const file = 'responses/openai-reasoning-encrypted-content.1.sse';
    const recording = streams.find((one) => one.file === file);
    if (recording === undefined) throw new Error(`no ${file}`);
    const { end } = endingOf(recording);
    const first = validate('responses', recording.bytes.subarray(0, end));
    expect(first.fault).to.equal(null);
    expect(validate('responses', recording.bytes.subarray(0, end - 1)).fault).to.equal(
      'incomplete',
    );
  });
});
