import type { ServerResponse } from 'node:http';
import { type AdminErrorHandler, type AdminHandler, type AdminRequest, decoded } from './http.ts';
import { adminRoutes } from './routes.ts';
import type { AdminOptions } from './services.ts';

interface Route {
  /** Null for every method and for all paths below `path`. */
  readonly method: string | null;
  readonly path: readonly string[];
  readonly handler: AdminHandler;
}

/** Middleware that answers requests under `/llm-cache` and calls `next` for the rest. */
export type AdminMiddleware = (req: AdminRequest, res: ServerResponse, next: () => void) => void;

/** Creates the admin routes as middleware for any app. They are unauthenticated. */
export function adminHandler(options: AdminOptions): AdminMiddleware {
  const routes = routesOf(options);
  return (req, res, next) => {
    const method = req.method === 'HEAD' ? 'GET' : (req.method ?? '');
    const asked = segmentsOf((req.url ?? '').replace(/\?.*$/s, ''));
    for (const route of routes) {
      const params = paramsOf(route, method, asked);
      if (params === null) continue;
      // Replaces the app's own parameters, which belong to the mount path.
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
    // The app handles errors of its own middleware, so error handlers are left out.
    use: (path, handler) => {
      if (isRequestHandler(handler)) routes.push({ method: null, path: segmentsOf(path), handler });
    },
  });
  return routes;
}

function isRequestHandler(handler: AdminHandler | AdminErrorHandler): handler is AdminHandler {
  return handler.length < 4;
}

function segmentsOf(path: string): readonly string[] {
  return path.split('/').filter((segment) => segment !== '');
}

/** Returns the values of the route's parameters; null if the route does not match. */
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
