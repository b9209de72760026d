import { chat } from './chat.ts';
import { completions } from './completions.ts';
import { embeddings } from './embeddings.ts';
import { geminiEmbeddings } from './gemini-embeddings.ts';
import { gemini } from './gemini.ts';
import { messages } from './messages.ts';
import { moderations } from './moderations.ts';
import type { Protocol, ProtocolName } from './protocol.ts';
import { rerank } from './rerank.ts';
import { responses } from './responses.ts';

/** Every API that the cache serves. */
export const protocols: readonly Protocol[] = [
  chat,
  completions,
  responses,
  embeddings,
  messages,
  gemini,
  geminiEmbeddings,
  rerank,
  moderations,
];

export const protocolNames: readonly ProtocolName[] = protocols.map(({ name }) => name);

/** Returns the API that a path belongs to; null if it belongs to none. */
export function findProtocol(path: string): Protocol | null {
  return protocols.find((protocol) => protocol.matches(path)) ?? null;
}
