import { expect } from 'chai';
import type { Gateway } from './gateway.ts';

export interface AdminReply {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** Empty if the body is not JSON. */
  readonly json: Record<string, unknown>;
}

/** Calls the admin API; `path` is relative to `/llm-cache`. */
export async function admin(
  gateway: Gateway,
  path: string,
  init: RequestInit = {},
): Promise<AdminReply> {
  const response = await fetch(`${gateway.adminUrl}/llm-cache${path}`, init);
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.startsWith('application/json');
  const json = (isJson ? JSON.parse(text) : {}) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, text, json };
}

/** Asserts that the reply is an error in the API's format whose message contains all `words`. */
export function expectError(reply: AdminReply, status: number, ...words: string[]): void {
  expect(reply.status, reply.text).to.equal(status);
  const { error } = reply.json as { error: { message: string } };
  expect(Object.keys(reply.json)).to.deep.equal(['error']);
  for (const word of words) expect(error.message).to.contain(word);
}
