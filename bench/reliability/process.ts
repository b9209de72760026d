import { readFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
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

/** How long, in milliseconds, the gateway's admin port let a small request wait at most during `work`. */
export async function longestWait<T>(
  gateway: Gateway,
  work: () => Promise<T>,
): Promise<{ ms: number; result: T }> {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  let ms = 0;
  let isOver = false;
  const ask = () =>
    new Promise<void>((resolve, reject) => {
      const startedAt = performance.now();
      const request = http.get(`${gateway.adminUrl}/llm-cache/none`, { agent }, (response) => {
        response.resume();
        response.once('end', () => {
          ms = Math.max(ms, performance.now() - startedAt);
          resolve();
        });
      });
      request.once('error', reject);
    });
  for (let count = 0; count < 20; count++) await ask();
  ms = 0;
  const asking = (async () => {
    while (!isOver) {
      await ask();
      await pause(1);
    }
  })();
  const result = await work();
  isOver = true;
  await asking;
  agent.destroy();
  return { ms, result };
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
