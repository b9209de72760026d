import { readFileSync } from 'node:fs';
import net from 'node:net';
import { resolve } from 'node:path';
import type { Gateway } from '../../test/support/gateway.ts';
import { pause } from './scenario.ts';

/** Returns the resident memory of a process, in MiB. */
export function rssOf(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** Returns how many bytes of bodies the gateway holds at the moment. */
export async function heldBy(gateway: Gateway): Promise<number> {
  const response = await fetch(`${gateway.adminUrl}/llm-cache/stats`);
  return ((await response.json()) as { bufferedBytes: number }).bufferedBytes;
}

/** Returns the environment that a gateway needs for `longestTurn`. */
export function withTurns(file: string): Readonly<Record<string, string>> {
  return {
    NODE_OPTIONS: `--require ${resolve('bench/tools/turns-preload.cjs')}`,
    TURNS_FILE: file,
  };
}

/** Measures the longest turn of the gateway's event loop during `work`, in ms of processor time. */
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

/** Returns the head of a request as it is sent. */
export function headOf(path: string, headers: Readonly<Record<string, string | number>>): string {
  const lines = Object.entries({ host: 'bench', 'content-type': 'application/json', ...headers });
  return `POST ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`;
}

/** Opens a connection to the gateway, and sends nothing after `bytes`. */
export function dial(gateway: Gateway, bytes: string | Buffer): net.Socket {
  const socket = net.connect(Number(new URL(gateway.url).port), '127.0.0.1');
  socket.on('error', () => {});
  socket.write(bytes);
  return socket;
}
