import type { ConsumerDirectory } from '../../admin/consumers.ts';
import type { GatewayServices } from './types.ts';

/** Types of credentials with ids of their own. Others are found by their consumer's id. */
const typesWithIds = ['key-auth', 'jwt'] as const;

/** The gateway's users and applications; null if the gateway gives plugins no services. */
export function gatewayConsumers(services: GatewayServices | undefined): ConsumerDirectory | null {
  if (services === undefined) return null;
  const { user, application, credential } = services;

  const byId = async (id: string) => {
    const [one, other] = await Promise.all([user.get(id), application.get(id)]);
    return one || other || null;
  };
  const byName = async (name: string): Promise<readonly string[]> => {
    const [one, others] = await Promise.all([user.find(name), applicationsNamed(name)]);
    return [...(one ? [one.id] : []), ...others];
  };
  async function applicationsNamed(name: string): Promise<readonly string[]> {
    try {
      const found = await application.find(name);
      return found ? [found.id] : [];
    } catch (error) {
      // If applications of several users share the name, the gateway's error lists their ids.
      const [, ids] = /have been found: (\S+)\./.exec(String(error)) ?? [];
      if (ids === undefined) throw error;
      return ids.split(',');
    }
  }

  return {
    nameOf: async (id) => {
      const found = await byId(id);
      return found?.username ?? found?.name ?? null;
    },
    find: async (name) => {
      const known = await byId(name);
      if (known !== null) return [known.id];
      const named = await byName(name);
      if (named.length > 0) return named;
      for (const type of typesWithIds) {
        const key = await credential.getCredential(name, type);
        if (!key || key.consumerId === undefined) continue;
        const owner = await byId(key.consumerId);
        return owner === null ? byName(key.consumerId) : [owner.id];
      }
      return [];
    },
  };
}
