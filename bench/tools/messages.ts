import { answerTo, chat, streamOf } from '../reliability/scenario.ts';

// The requests and answers of all scenarios, with exact lengths in bytes.

const sentence = 'The quick brown fox, who said "no",\njumps over the lazy dog. ';
const words = (length: number) => sentence.repeat(length / sentence.length + 1).slice(0, length);

/** Twelve characters in a request body that a load replaces with a counter, so that all bodies differ. */
export const mark = '@@@@@@@@@@@@';

/** Returns a chat request with a conversation of `bytes`. */
export function question(bytes: number, more: object = {}): string {
  const messages = [{ role: 'system', content: 'You are a helpful assistant.' }];
  const body = () => JSON.stringify(chat({ temperature: 0.2, user: mark, ...more, messages }));
  for (let at = 0; body().length + 2100 < bytes; at++) {
    const turns = Math.max(1, Math.floor((bytes - body().length) / 200_000));
    for (let turn = 0; turn < turns; turn++) {
      messages.push({ role: at % 2 === 0 ? 'user' : 'assistant', content: words(1800) });
    }
  }
  messages.push({ role: 'user', content: '' });
  return body().replace('""', `"${'x'.repeat(Math.max(0, bytes - body().length))}"`);
}

/** The answer to request from the provider, through the query of its URL. */
export interface Wanted {
  readonly bytes: number;
  readonly stream: boolean;
}

export const queryOf = ({ bytes, stream }: Wanted) => `?bytes=${bytes}&stream=${Number(stream)}`;

export function answer({ bytes, stream }: Wanted): string {
  const whole = (length: number) => {
    if (!stream) return answerTo('x'.repeat(length));
    // Words of eight letters, about as long as a model's.
    const letters = 'x'.repeat(length);
    return streamOf(letters.match(/.{1,8}/g) ?? []).join('');
  };
  if (!stream) return whole(bytes - whole(0).length);
  const each = (whole(800).length - whole(0).length) / 100;
  const most = Math.floor((bytes - whole(0).length) / each) * 8;
  const near = whole(most);
  // Pad with a comment, as events have a fixed size.
  return bytes - near.length < 4 ? near : `: ${'x'.repeat(bytes - near.length - 4)}\n\n${near}`;
}
