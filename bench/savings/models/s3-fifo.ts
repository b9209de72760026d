import { firstOf, type Model } from './model.ts';

const smallShare = 0.1;
const maxUses = 3;

/** Yang and others, "FIFO queues are all you need for cache eviction" (2023), in bytes. */
export const s3Fifo: Model = (asks, maxBytes, bytesOf) => {
  const [small, main] = [new Map<string, number>(), new Map<string, number>()];
  const ghost = new Set<string>();
  const uses = new Map<string, number>();
  const used = { small: 0, main: 0 };
  let saved = 0;

  const toMain = (key: string, bytes: number) => {
    main.set(key, bytes);
    used.main += bytes;
  };
  const evictSmall = () => {
    const [key, bytes] = firstOf(small);
    small.delete(key);
    used.small -= bytes;
    if ((uses.get(key) ?? 0) > 0) {
      uses.set(key, 0);
      return toMain(key, bytes);
    }
    uses.delete(key);
    ghost.add(key);
    for (const oldest of ghost) {
      if (ghost.size <= main.size + small.size) break;
      ghost.delete(oldest);
    }
  };
  const evictMain = () => {
    const [key, bytes] = firstOf(main);
    main.delete(key);
    used.main -= bytes;
    const count = uses.get(key) ?? 0;
    if (count > 0) {
      uses.set(key, count - 1);
      return toMain(key, bytes);
    }
    uses.delete(key);
  };

  for (const ask of asks) {
    const { key } = ask;
    const count = uses.get(key);
    if (count !== undefined) {
      uses.set(key, Math.min(maxUses, count + 1));
      saved += ask.cost;
      continue;
    }
    const bytes = bytesOf(ask);
    if (bytes > maxBytes) continue;
    uses.set(key, 0);
    if (ghost.delete(key)) toMain(key, bytes);
    else {
      small.set(key, bytes);
      used.small += bytes;
    }
    while (used.small + used.main > maxBytes) {
      if (used.small > maxBytes * smallShare || main.size === 0) evictSmall();
      else evictMain();
    }
  }
  return saved;
};
