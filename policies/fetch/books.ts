import type { Digest } from '../shared/exchange.ts';
import type { FaultLog } from '../shared/faults.ts';
import { consumerId } from '../shared/identity.ts';
import { nameOrNull } from '../shared/json.ts';
import type { RequestBody } from '../shared/request-body.ts';
import type { WebExchange, WebRequest } from '../shared/web/exchange.ts';
import type { PriceList } from '../llm-usage/price-list.ts';
import { usageRecord } from '../llm-usage/record.ts';
import type { UsageRecord } from '../llm-usage/usage-record.ts';

export interface BooksParts {
  readonly record: (record: UsageRecord) => void | Promise<void>;
  /** The provider's name in the records; null for the protocol's own. */
  readonly provider: string | null;
  readonly prices: PriceList;
  readonly digest: Digest;
  readonly faults: FaultLog;
}

/** What a record tells of an exchange beside what the exchange knows. */
export interface Ending {
  readonly startedAt: number;
  readonly endedAt: number;
  /** Null where it could not be held. */
  readonly body: RequestBody | null;
  /** What the client got. */
  readonly status: number;
  /** What the handler answered; null where it did not. */
  readonly providerStatus: number | null;
}

/** Makes a record of every exchange, whoever answered it. */
export class Books {
  readonly #parts: BooksParts;

  constructor(parts: BooksParts) {
    this.#parts = parts;
  }

  /** Resolves when the record has been taken. Never rejects. */
  async enter({ request, served, answer }: WebExchange, ending: Ending): Promise<void> {
    const { record, provider, prices, faults } = this.#parts;
    const { protocol } = request;
    const json = ending.body?.json ?? {};
    try {
      const made = usageRecord(
        {
          ...ending,
          id: crypto.randomUUID(),
          requestId: null,
          provider: provider ?? protocol.provider,
          requestedModel: nameOrNull(json['model']),
          path: request.path,
          apiEndpoint: request.apiEndpoint,
          consumerId: this.#consumerOf(request),
          stream: protocol.isStream(json),
          cacheType: served?.cacheType ?? null,
          facts: await (served?.facts ?? answer),
          cacheApart: protocol.cacheApart,
        },
        (priced) => prices.find(priced),
      );
      await record(made);
    } catch (error) {
      faults.report('llm-usage: a request could not be recorded', error);
    }
  }

  #consumerOf(request: WebRequest): string | null {
    try {
      return consumerId(request.identity, this.#parts.digest);
    } catch {
      // Whoever could not tell has said so.
      return null;
    }
  }
}
