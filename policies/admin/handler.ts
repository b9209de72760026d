import type { ServerResponse } from 'node:http';
import { type AdminErrorHandler, type AdminHandler, type AdminRequest, decoded } from './http.ts';
import { adminRoutes } from './routes.ts';
import type { AdminOptions } from './services.ts';

interface Route {
  /** Null for every method, and every path below. */
  readonly method: string | null;
  readonly path: readonly string[];
  readonly handler: AdminHandler;
}

/** What an app is given: it answers what is under `/llm-cache`, and lets the rest pass. */
export type AdminMiddleware = (req: AdminRequest, res: ServerResponse, next: () => void) => void;

/** The admin routes, to be mounted in any app. They are unauthenticated. */
export function adminHandler(options: AdminOptions): AdminMiddleware {
  const routes = routesOf(options);
  return (req, res, next) => {
    const method = req.method === 'HEAD' ? 'GET' : (req.method ?? '');
    const asked = segmentsOf((req.url ?? '').replace(/\?.*$/s, ''));
    for (const route of routes) {
      const params = paramsOf(route, method, asked);
      if (params === null) continue;
      // The app's own parameters, of the path that this is mounted at, mean nothing here.
      Object.assign(req, { params });
      route.handler(req, res);
      return;
    }
    next();
  };
}

function routesOf(options: AdminOptions): readonly Route[] {
  const routes: Route[] = [];
  const add = (method: string) => (path: string, handler: AdminHandler) => {
    routes.push({ method, path: segmentsOf(path), handler });
  };
  adminRoutes(options)({
    get: add('GET'),
    post: add('POST'),
    delete: add('DELETE'),
    // Errors of what stands before are the app's own.
    use: (path, handler) => {
      if (isPlain(handler)) routes.push({ method: null, path: segmentsOf(path), handler });
    },
  });
  return routes;
}

function isPlain(handler: AdminHandler | AdminErrorHandler): handler is AdminHandler {
  return handler.length < 4;
}

function segmentsOf(path: string): readonly string[] {
  return path.split('/').filter((segment) => segment !== '');
}

/** What stands for the names in the route's path; null where the route is another's. */
function paramsOf(
  { method, path }: Route,
  asked: string,
  segments: readonly string[],
): Readonly<Record<string, string>> | null {
  if (method !== null && (method !== asked || path.length !== segments.length)) return null;
  const params: Record<string, string> = {};
  for (const [at, name] of path.entries()) {
    const segment = segments[at];
    if (segment === undefined) return null;
    if (name.startsWith(':')) params[name.slice(1)] = decoded(segment) ?? segment;
    else if (name !== segment) return null;
  }
  return params;
}
