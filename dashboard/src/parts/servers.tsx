// What several pages know of servers.
import { useMemo } from 'react';
import { SERVER_ACTIONS } from '../cloud/actions';
import { COMPUTE, type Server } from '../cloud/kinds';
import { useAsk } from '../cloud/session';
import type { Doable } from './list';

export const addresses = (server: Server, type: 'fixed' | 'floating') =>
  Object.values(server.addresses).flat().filter((address) => address['OS-EXT-IPS:type'] === type).map((address) => address.addr);

/** The table of actions, each with its call. */
export function useServerActions(): Doable<Server>[] {
  const ask = useAsk();
  return useMemo(
    () =>
      SERVER_ACTIONS.map((action) => ({
        ...action,
        run: (server) =>
          action.body === undefined
            ? ask('compute', `/v2.1/servers/${server.id}`, { method: 'DELETE', version: COMPUTE })
            : ask('compute', `/v2.1/servers/${server.id}/action`, { method: 'POST', body: action.body, version: COMPUTE }),
      })),
    [],
  );
}
