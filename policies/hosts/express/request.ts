import type { ServerResponse } from 'node:http';
import { applicationIdentity } from '../../shared/identity/identity.ts';
import type { AppRequest, HostRequest } from '../node/host-request.ts';
import { rereadBody } from './body.ts';

export interface ExpressRequestOptions {
  readonly apiEndpoint: string | null;
  /** Whoever was authenticated: an id, or an object that has one. */
  readonly consumer: (req: AppRequest) => unknown;
}

/** A request as an Express app carries it. */
export function expressHostRequest(
  options: ExpressRequestOptions,
): (req: AppRequest, res: ServerResponse) => HostRequest {
  const { apiEndpoint, consumer } = options;
  return (req, res) => {
    return {
      apiEndpoint,
      get identity() {
        return applicationIdentity(consumer(req));
      },
      get requestId() {
        return 'id' in req && typeof req.id === 'string' ? req.id : null;
      },
      get forwardedUrl() {
        // Within a mounted app `url` lacks what the app is mounted at.
        const base = 'baseUrl' in req && typeof req.baseUrl === 'string' ? req.baseUrl : '';
        return `${base}${req.url ?? ''}`;
      },
      get offered() {
        return req.body;
      },
      read: (bounds) => rereadBody(req, res, bounds),
      // It was put back as soon as it was read.
      offer: () => {},
      isFailure: (status) => status === 500 || (status >= 502 && status <= 504),
    };
  };
}
