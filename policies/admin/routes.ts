import type { ServerResponse } from 'node:http';
import process from 'node:process';
import type { FaultLog } from '../shared/faults.ts';
import { deleteEntry, listEntries, purgeEntries, showEntry } from './entries.ts';
import { answerQuestion } from './explain.ts';
import { foreignRequest } from './guard.ts';
import {
  type AdminApp,
  AdminError,
  type AdminHandler,
  type AdminRequest,
  decoded,
  readQuery,
  send,
  sendJson,
} from './http.ts';
import { listRequests, showRequest } from './requests.ts';
import { sendPage } from './page.ts';
import type { AdminOptions, AdminServices } from './services.ts';
import { readQuestion } from './simulated-body.ts';
import { exportEntries, importEntries } from './transfer.ts';
import { type CsvFile, showUsage } from './usage.ts';

type Answer = (req: AdminRequest, services: AdminServices) => Promise<object> | object;

const root = '/llm-cache';

/** Returns a function that adds the routes under `/llm-cache` to an admin app. */
export function adminRoutes(options: AdminOptions): (app: AdminApp) => void {
  const { current, hosts, pageFolder, version, faults } = options;
  /**
   * Wraps every route: refuses requests of other sites, and turns anything thrown into a JSON
   * error.
   */
  const guarded =
    (answer: (req: AdminRequest, res: ServerResponse) => Promise<void> | void): AdminHandler =>
    (req, res) => {
      const answered = async () => {
        const refused = foreignRequest(req, hosts());
        if (refused !== null) throw refused;
        if (decoded(req.originalUrl) === null) {
          throw new AdminError(
            400,
            'the address has a percent sign that starts no escape, or escapes that are not UTF-8',
          );
        }
        await answer(req, res);
      };
      answered().catch((error: unknown) => fail(error, res, faults));
    };
  const json = (answer: Answer): AdminHandler =>
    guarded(async (req, res) => sendJson(res, 200, await answer(req, current())));
  const file = (name: string): AdminHandler =>
    guarded(async (req, res) => {
      // Express routes both, but the page's relative urls only work without the slash.
      const hasSlash = /\/(\?|$)/.test(req.originalUrl);
      if (name === 'index.html' && hasSlash) return redirect(res, '../llm-cache');
      readQuery(req, []);
      await sendPage(res, pageFolder, name);
    });

  return (app) => {
    app.get(root, file('index.html'));
    for (const name of ['dashboard.js', 'dashboard.css']) app.get(`${root}/${name}`, file(name));
    app.get(
      `${root}/stats`,
      json((req, services) => ({ version, ...showStats(req, services) })),
    );
    app.get(
      `${root}/usage`,
      guarded(async (req, res) => {
        const usage = await showUsage(req, current(), Date.now());
        if ('csv' in usage) sendCsv(res, usage);
        else sendJson(res, 200, usage);
      }),
    );
    app.get(
      `${root}/budgets`,
      json((req, services) => showBudgets(req, services)),
    );
    app.get(
      `${root}/entries`,
      json((req, services) => listEntries(req, services, Date.now())),
    );
    app.delete(
      `${root}/entries`,
      json((req, services) => purgeEntries(req, services)),
    );
    app.get(
      `${root}/entries/:key`,
      json((req, services) => showEntry(req, services, Date.now())),
    );
    app.delete(
      `${root}/entries/:key`,
      json((req, services) => deleteEntry(req, services)),
    );
    app.get(
      `${root}/requests`,
      json((req, services) => listRequests(req, services)),
    );
    app.get(
      `${root}/requests/:id`,
      json((req, services) => showRequest(req, services, Date.now())),
    );
    app.get(
      `${root}/export`,
      guarded((req, res) => exportEntries(req, res, current())),
    );
    app.post(
      `${root}/import`,
      json((req, services) => importEntries(req, services, Date.now())),
    );
    app.post(
      `${root}/explain`,
      json((req, services) => readQuestion(req, (asked) => answerQuestion(asked, services))),
    );
    app.get(
      `${root}/metrics`,
      guarded(async (_req, res) => {
        const { text, contentType } = await current().metrics();
        send(res, 200, contentType, text);
      }),
    );
    const notFound = guarded(({ method }) => {
      throw new AdminError(404, `there is no such route for ${method}`);
    });
    app.use(root, notFound);
    // Without this the admin app would answer a body that it cannot parse with a plain-text 500.
    app.use(root, (error: unknown, req: AdminRequest, res: ServerResponse, _next: () => void) =>
      guarded(() => {
        throw error;
      })(req, res),
    );
  };
}

function sendCsv(res: ServerResponse, { name, csv }: CsvFile): void {
  send(res, 200, 'text/csv; charset=utf-8; header=present', csv, {
    'Content-Disposition': `attachment; filename="${name}"`,
  });
}

function redirect(res: ServerResponse, location: string): void {
  send(res, 308, 'text/plain', '', { Location: location });
}

function showStats(req: AdminRequest, services: AdminServices): object {
  readQuery(req, []);
  const { stores, sinks, joiners, bufferedBytes, tryout } = services;
  return {
    uptime: Math.floor(process.uptime()),
    stores,
    pipelines: services.stats.pipelines(),
    sinks,
    joiners,
    bufferedBytes,
    tryout,
  };
}

async function showBudgets(req: AdminRequest, services: AdminServices): Promise<object> {
  readQuery(req, []);
  const states = await services.budgets();
  const names = await services.consumers.of(states.map(({ consumerId }) => consumerId));
  const budgets = states.map((state) => ({
    ...state,
    consumerName: names.get(state.consumerId ?? '') ?? null,
  }));
  return { budgets };
}

function fail(error: unknown, res: ServerResponse, faults: FaultLog): void {
  if (res.headersSent) {
    res.destroy();
    return;
  }
  const { status, message } = describe(error, faults);
  sendJson(res, status, { error: { message } });
}

/** Describes an error. Never passes on the message of an unknown error, which could quote a request. */
function describe(error: unknown, faults: FaultLog): { status: number; message: string } {
  if (error instanceof AdminError) return error;
  if (error instanceof Error && error.name === 'StoreUnavailable') {
    return { status: 503, message: `the store does not answer: ${error.message}` };
  }
  // Errors of body-parser have a status and a type.
  if (error instanceof Error && 'type' in error && 'status' in error) {
    const isLarge = error.type === 'entity.too.large';
    const message = isLarge
      ? 'the body is larger than the gateway parses; send it as text/plain'
      : 'the body is not JSON';
    return { status: Number(error.status), message };
  }
  faults.report('llm-cache: the admin API failed', error);
  return { status: 500, message: "the request failed; see the gateway's log" };
}
