import type { ServerResponse } from 'node:http';
import process from 'node:process';
import type { CacheStats } from '../llm-cache/stats.ts';
import type { StoreStats } from '../llm-cache/stores/store.ts';
import type { Ledger } from '../llm-usage/ledger.ts';
import type { SinkStats } from '../llm-usage/sinks/sink.ts';
import type { FaultLog } from '../shared/faults.ts';
import { deleteEntry, type Holders, listEntries, purgeEntries, showEntry } from './entries.ts';
import { answerQuestion, type ExplainServices } from './explain.ts';
import {
  type AdminApp,
  AdminError,
  type AdminHandler,
  type AdminRequest,
  readQuery,
  send,
  sendJson,
} from './http.ts';
import { sendPage } from './page.ts';
import { readQuestion } from './question-body.ts';
import { showUsage } from './usage.ts';

/** What the routes show and steer, as it stands when somebody asks. */
export interface AdminServices {
  readonly stats: CacheStats;
  readonly stores: Readonly<Record<string, StoreStats>>;
  readonly holders: Holders;
  readonly sinks: Readonly<Record<string, SinkStats>>;
  /** Requests that read along with another at the moment. */
  readonly joiners: number;
  /** Bytes of bodies held at the moment. */
  readonly bufferedBytes: number;
  readonly ledger: Ledger;
  readonly explain: ExplainServices;
  /** The metrics as text, and its content type. */
  metrics(): Promise<{ readonly text: string; readonly contentType: string }>;
}

export interface AdminOptions {
  /** Throws an AdminError as long as there is no configuration. */
  readonly current: () => AdminServices;
  /** Where the dashboard's files are. */
  readonly pageFolder: string;
  /** Of this package. */
  readonly version: string;
  readonly faults: FaultLog;
}

type Answer = (req: AdminRequest, services: AdminServices) => Promise<object> | object;

const root = '/llm-cache';

/** The routes under `/llm-cache` on the gateway's admin port. */
export function adminRoutes(options: AdminOptions): (app: AdminApp) => void {
  const { current, pageFolder, version, faults } = options;
  const failed = (error: unknown, res: ServerResponse) => fail(error, res, faults);
  const json =
    (answer: Answer): AdminHandler =>
    (req, res) => {
      const answered = async () => sendJson(res, 200, await answer(req, current()));
      answered().catch((error: unknown) => failed(error, res));
    };
  const file =
    (name: string): AdminHandler =>
    (req, res) => {
      const sent = async () => {
        readQuery(req, []);
        await sendPage(res, pageFolder, name);
      };
      sent().catch((error: unknown) => failed(error, res));
    };

  return (app) => {
    const page = file('index.html');
    app.get(root, (req, res) => {
      // Express takes both; the page's relative addresses are those of the one without.
      if (/\/(\?|$)/.test(req.originalUrl)) redirect(res, '../llm-cache');
      else page(req, res);
    });
    for (const name of ['dashboard.js', 'dashboard.css']) app.get(`${root}/${name}`, file(name));
    app.get(
      `${root}/stats`,
      json((req, services) => ({ version, ...showStats(req, services) })),
    );
    app.get(
      `${root}/usage`,
      json((req, { ledger }) => showUsage(req, ledger)),
    );
    app.get(
      `${root}/entries`,
      json((req, { holders }) => listEntries(req, holders, Date.now())),
    );
    app.delete(
      `${root}/entries`,
      json((req, { holders }) => purgeEntries(req, holders)),
    );
    app.get(
      `${root}/entries/:key`,
      json((req, { holders }) => showEntry(req, holders, Date.now())),
    );
    app.delete(
      `${root}/entries/:key`,
      json((req, { holders }) => deleteEntry(req, holders)),
    );
    app.post(
      `${root}/explain`,
      json((req, { explain }) => readQuestion(req, (asked) => answerQuestion(asked, explain))),
    );
    app.get(`${root}/metrics`, (_req, res) => {
      const sent = async () => {
        const { text, contentType } = await current().metrics();
        send(res, 200, contentType, text);
      };
      sent().catch((error: unknown) => failed(error, res));
    });
    app.use(root, (req: AdminRequest, res: ServerResponse) => {
      failed(new AdminError(404, `nothing answers ${req.method} here`), res);
    });
    // The admin app's own answer to a body that it cannot parse would be a 500 in plain text.
    app.use(root, (error: unknown, _req: AdminRequest, res: ServerResponse, _next: () => void) =>
      failed(error, res),
    );
  };
}

function redirect(res: ServerResponse, location: string): void {
  res.setHeader('Location', location);
  send(res, 308, 'text/plain', '');
}

function showStats(req: AdminRequest, services: AdminServices): object {
  readQuery(req, []);
  const { stores, sinks, joiners, bufferedBytes } = services;
  return {
    uptime: Math.floor(process.uptime()),
    stores,
    pipelines: services.stats.pipelines(),
    sinks,
    joiners,
    bufferedBytes,
  };
}

function fail(error: unknown, res: ServerResponse, faults: FaultLog): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const { status, message } = describe(error, faults);
  sendJson(res, status, { error: { message } });
}

/** Of an error that is not ours only what cannot quote anything. */
function describe(error: unknown, faults: FaultLog): { status: number; message: string } {
  if (error instanceof AdminError) return error;
  if (error instanceof Error && error.name === 'StoreUnavailable') {
    return { status: 503, message: `the store does not answer: ${error.message}` };
  }
  // body-parser's errors have a status and a type.
  if (error instanceof Error && 'type' in error && 'status' in error) {
    const isLarge = error.type === 'entity.too.large';
    const message = isLarge
      ? 'the body is larger than the gateway parses; send it as text/plain'
      : 'the body is not JSON';
    return { status: Number(error.status), message };
  }
  faults.report('llm-cache: the admin API failed', error);
  return { status: 500, message: 'the request failed; the log of the gateway says where' };
}
