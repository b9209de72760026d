import type { LlmCacheSettings } from '../../schemas/llm-cache.ts';

/** What a client's request headers ask of the cache. */
export interface ClientControls {
  /** Neither answer from the cache nor store. */
  readonly bypass: 'no-cache' | 'no-store' | null;
  /** Never ask the upstream. */
  readonly onlyIfCached: boolean;
  /** Ask anew and replace what is stored. */
  readonly refresh: boolean;
  /** Seconds that a stored answer may be old. */
  readonly maxAge: number | null;
  /** Seconds that the answer to this request shall be fresh. */
  readonly ttl: number | null;
  /** Whether the layer of identical requests takes part. */
  readonly exact: boolean;
  /** Whether the client asks for the cache, where only those who ask take part. */
  readonly takesPart: boolean;
  /** What the client adds to the keys of its requests; null for nothing. */
  readonly namespace: string | null;
}

export const noControls: ClientControls = {
  bypass: null,
  onlyIfCached: false,
  refresh: false,
  maxAge: null,
  ttl: null,
  exact: true,
  takesPart: false,
  namespace: null,
};

type ControlSettings = Pick<LlmCacheSettings, 'clientControls' | 'allowedControls'>;

/** The controls that a step of a pipeline lets the client have. */
export function controlsOf(
  request: { header(name: string): string | undefined },
  { clientControls, allowedControls }: ControlSettings,
): ClientControls {
  if (!clientControls) return noControls;
  const allowed: readonly string[] = allowedControls;
  return readControls((name) => (allowed.includes(name) ? request.header(name) : undefined));
}

/** Reads the controls off the headers; what is not understood is ignored (RFC 9111, section 5.2). */
export function readControls(header: (name: string) => string | undefined): ClientControls {
  const general = header('cache-control');
  const ours = header('x-cache-control');
  const ttl = header('x-cache-ttl');
  const type = header('x-cache-type');
  const namespace = header('x-cache-namespace');
  if ((general ?? ours ?? ttl ?? type ?? namespace) === undefined) return noControls;
  const cacheControl = directives(general);
  const own = directives(ours);
  const noStore = cacheControl.has('no-store') || own.has('no-store');
  return {
    bypass: cacheControl.has('no-cache') ? 'no-cache' : noStore ? 'no-store' : null,
    onlyIfCached: cacheControl.has('only-if-cached'),
    refresh: own.has('refresh'),
    maxAge: seconds(cacheControl.get('max-age')),
    ttl: seconds(ttl) || null,
    exact: type?.trim().toLowerCase() !== 'semantic',
    takesPart: own.has('cache'),
    namespace: namespace?.trim() || null,
  };
}

/** Whether the client asks for a fresh answer, whatever may be stored. */
export function asksForFresh(controls: ClientControls): boolean {
  return controls.bypass !== null || controls.refresh || controls.maxAge === 0;
}

/** Directives by lower-case name. Of one that comes twice the smaller argument counts. */
function directives(value: string | undefined): Map<string, string> {
  const found = new Map<string, string>();
  for (const member of members(value ?? '')) {
    const equals = member.indexOf('=');
    const name = (equals < 0 ? member : member.slice(0, equals)).trim().toLowerCase();
    const argument = equals < 0 ? '' : unquoted(member.slice(equals + 1).trim());
    const before = seconds(found.get(name));
    if (before !== null && before <= (seconds(argument) ?? Infinity)) continue;
    found.set(name, argument);
  }
  return found;
}

/** The parts between commas, but for those within quotes. */
function members(value: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let quoted = false;
  for (let at = 0; at < value.length; at++) {
    const char = value[at];
    if (char === '"') quoted = !quoted;
    else if (char === '\\' && quoted) at++;
    else if (char === ',' && !quoted) {
      parts.push(value.slice(start, at));
      start = at + 1;
    }
  }
  parts.push(value.slice(start));
  return parts;
}

function unquoted(text: string): string {
  return text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text;
}

function seconds(value: string | undefined): number | null {
  const text = value?.trim() ?? '';
  return /^\d+$/.test(text) ? Math.min(Number(text), 2 ** 31) : null;
}
