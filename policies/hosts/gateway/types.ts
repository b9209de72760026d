import type { Readable } from 'node:stream';
import type { AppRequest, Middleware } from '../node/app-request.ts';
import type { Log } from '../../shared/log.ts';

// The few types of Express Gateway that the plugin uses. The gateway's own types do not compile.

export interface EgContext {
  readonly requestID?: string;
  /** What an auth policy accepted: a consumer, or the bare payload of a token. */
  readonly consumer?: unknown;
  readonly apiEndpoint?: { readonly apiEndpointName?: string };
  /** What the proxy policy sends in place of the request's own body. */
  requestStream?: Pick<Readable, 'pipe'>;
}

export interface GatewayRequest extends AppRequest {
  readonly egContext: EgContext;
  /** Set by the policy that read the body, so that later body parsers skip it. */
  _body?: boolean;
}

export interface Policy {
  readonly name: string;
  readonly schema: object;
  readonly policy: (action: Readonly<Record<string, unknown>>) => Middleware<GatewayRequest>;
}

export interface Condition {
  readonly name: string;
  readonly schema: object;
  /** The gateway recognizes a condition's handler by its two parameters. */
  readonly handler: (req: GatewayRequest, config: Readonly<Record<string, unknown>>) => boolean;
}

/** The gateway's services that find its consumers. */
export interface GatewayServices {
  readonly user: {
    get(id: string): Found<GatewayConsumer>;
    find(username: string): Found<GatewayConsumer>;
  };
  readonly application: {
    get(id: string): Found<GatewayConsumer>;
    find(name: string): Found<GatewayConsumer>;
  };
  readonly credential: {
    getCredential(id: string, type: string): Found<{ readonly consumerId?: string }>;
  };
}

/** A user has a `username`, an application a `name`. */
export interface GatewayConsumer {
  readonly id: string;
  readonly username?: string;
  readonly name?: string;
}

type Found<T> = Promise<T | false | null> | false;

export interface PluginContext {
  readonly logger: Log;
  readonly services?: GatewayServices;
  readonly settings: Readonly<Record<string, unknown>>;
  readonly config: {
    readonly systemConfig: Readonly<Record<string, unknown>>;
    readonly gatewayConfig: Readonly<Record<string, unknown>>;
    /** The files that the configurations were read from. */
    readonly systemConfigPath?: string;
    readonly gatewayConfigPath?: string;
  };
  registerPolicy(policy: Policy): void;
  registerCondition(condition: Condition): void;
  registerGatewayRoute(route: (app: unknown) => void): void;
  registerAdminRoute(route: (app: never) => void): void;
}
