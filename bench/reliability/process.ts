import { readFileSync } from 'node:fs';
import net from 'node:net';
import { resolve } from 'node:path';
import type { Gateway } from '../../test/support/gateway.ts';
import { pause } from './scenario.ts';

/** Resident memory in megabytes. */
export function rssOf(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** Bytes of bodies that the gateway holds at the moment. */
export async function heldBy(gateway: Gateway): Promise<number> {
  const response = await fetch(`${gateway.adminUrl}/llm-cache/stats`);
  return ((await response.json()) as { bufferedBytes: number }).bufferedBytes;
}

/** What a gateway is started with so that `longestTurn` can tell. */
export function withTurns(file: string): Readonly<Record<string, string>> {
  return {
    NODE_OPTIONS: `--require ${resolve('bench/tools/turns-preload.cjs')}`,
    TURNS_FILE: file,
  };
}

/** The longest turn of the gateway's event loop during `work`, in milliseconds of processor time. */
export async function longestTurn<T>(
  gateway: Gateway,
  file: string,
  work: () => Promise<T>,
): Promise<{ ms: number; result: T }> {
  gateway.child.kill('SIGUSR2');
  await pause(20);
  const result = await work();
  await pause(20);
  return { ms: Number(readFileSync(file, 'utf8')), result };
}

/** A request as it stands on the wire, up to its body. */
export function headOf(path: string, headers: Readonly<Record<string, string | number>>): string {
  const lines = Object.entries({ host: 'bench', 'content-type': 'application/json', ...headers });
  return `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/** A connection to the gateway that is left alone after `bytes`. */
export function dial(gateway: Gateway, bytes: string | Buffer): net.Socket {
  const socket = net.connect(Number(new URL(gateway.url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(bytes);
  return socket;
}
