import { nearest } from '../llm-cache/nearest.ts';
import { outcomeNames } from '../llm-cache/stats.ts';
import type { Store } from '../llm-cache/stores/store.ts';
import type { RecentRequest } from '../hosts/node/recent-request.ts';
import type { RecentRequests } from '../hosts/node/recent-requests.ts';
import { resolveConsumer, entryUnder, type EntryServices, readLimit } from './entries.ts';
import { AdminError, type AdminRequest, readQuery } from './http.ts';

/** The services needed to show recent requests. */
export interface RequestServices extends EntryServices {
  readonly requests: RecentRequests;
  storeNamed(name: string): Store | null;
}

const filterNames = ['pipeline', 'outcome', 'reason', 'model', 'consumer', 'key'] as const;
const defaultLimit = 50;

/** Answers `GET /llm-cache/requests`: the newest matching requests of this gateway. */
export async function listRequests(req: AdminRequest, services: RequestServices): Promise<object> {
  const { limit: asked, ...filter } = readQuery(req, [...filterNames, 'limit']);
  const { requests } = services;
  requireEnabled(requests);
  checkOutcome(filter.outcome);
  const limit = readLimit(asked, { fallback: defaultLimit, most: 2 * requests.places });
  if (filter.consumer !== undefined) {
    filter.consumer = await resolveConsumer(filter.consumer, services);
  }
  const found = requests.all().filter((one) => matches(one, filter));
  return {
    requests: await describeRequests(found.slice(0, limit), services),
    kept: requests.places,
  };
}

/**
 * Answers `GET /llm-cache/requests/:id`: a request with the entry stored under its key and, for a
 * miss, the most similar stored requests.
 */
export async function showRequest(
  req: AdminRequest,
  services: RequestServices,
  now: number,
): Promise<object> {
  readQuery(req, []);
  const { requests } = services;
  requireEnabled(requests);
  const found = requests.all().find((one) => requests.idOf(one) === req.params['id']);
  if (found === undefined) throw new AdminError(404, 'no recent request has this id');
  const { key, fingerprint, store } = found;
  const [request] = await describeRequests([found], services);
  const entry = key === null ? null : await entryUnder(key, services, now);
  const held = store === null ? null : services.storeNamed(store);
  const near =
    key === null || fingerprint === null || held === null
      ? []
      : await nearest({ key, fingerprint }, held, now);
  return { request, entry, nearest: await services.consumers.named(near) };
}

function requireEnabled({ places }: RecentRequests): void {
  if (places > 0) return;
  throw new AdminError(404, 'recent requests are not kept: admin.recentRequests is 0');
}

/** Rejects a misspelt outcome, which would match nothing and look like a valid answer. */
function checkOutcome(asked: string | undefined): void {
  const known: readonly string[] = [...outcomeNames, 'pass', 'left'];
  if (asked === undefined || known.includes(asked)) return;
  throw new AdminError(400, `"outcome" must be one of ${known.join(', ')}`);
}

function matches(
  request: RecentRequest,
  filter: Readonly<Partial<Record<(typeof filterNames)[number], string>>>,
): boolean {
  const { model, reason, ...rest } = filter;
  if (model !== undefined && request.model !== model && request.requestedModel !== model) {
    return false;
  }
  if (reason !== undefined && request.reason !== reason && request.notStored !== reason) {
    return false;
  }
  return Object.entries(rest).every(
    ([name, value]) => value === undefined || request[name as keyof RecentRequest] === value,
  );
}

function describeRequests(
  found: readonly RecentRequest[],
  { consumers, requests }: RequestServices,
): Promise<object[]> {
  return consumers.named(
    found.map((one) => {
      const { number: _number, at, fingerprint: _fingerprint, ...request } = one;
      return { id: requests.idOf(one), time: new Date(at).toISOString(), ...request };
    }),
  );
}
