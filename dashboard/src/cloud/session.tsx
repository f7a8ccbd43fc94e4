// Who is signed in and where they work. The project is in the URL: two tabs, two projects, and links can be shared.
import { useQuery } from '@tanstack/react-query';
import { createContext, useContext } from 'react';
import { ask, own, type Ask } from './api';
import { COMPUTE, LISTS, VOLUME, type Kind, type Things } from './kinds';

/** What the catalog calls the service of volumes. */
export const BLOCK = 'block-storage';

export interface Session {
  user: { id: string; name: string; domain: string };
  projects: { id: string; name: string; description: string; domain_id: string }[];
  expires_at: string;
  ends_at: string;
}

export interface Here {
  session: Session;
  project: { id: string; name: string };
  roles: string[];
  isAdmin: boolean;
  /** Whether this may change things, and not only look. */
  mayWrite: boolean;
  /** Types of the services in the catalog. */
  services: Set<string>;
  live: boolean;
}

export const HereContext = createContext<Here | null>(null);

export function useHere(): Here {
  const here = useContext(HereContext);
  if (!here) throw new Error('outside of a project');
  return here;
}

/** Calls a service in the project of the page. */
export function useAsk() {
  const { project } = useHere();
  return <T,>(service: string, path: string, how: Ask = {}) => ask<T>(service, path, { project: project.id, ...how });
}

/** A list that updates itself. When the event stream is away, it is looked at again every few seconds. */
export function useThings<K extends Kind>(kind: K, enabled = true) {
  const { project, live } = useHere();
  const { service, path, key, version } = LISTS[kind];
  const query = useQuery({
    queryKey: [project.id, kind],
    queryFn: async ({ signal }) => {
      const answer = await ask<Record<string, Things[K][]> & Things[K][]>(service, path.replace('{project}', project.id), { project: project.id, version, signal });
      return (key ? answer[key] : answer) ?? [];
    },
    refetchInterval: live ? 60_000 : 4_000,
    enabled,
  });
  return { things: query.data ?? [], loading: query.isPending && enabled, error: query.error };
}

export interface Amount {
  used: number;
  limit: number;
}
export type Quotas = Record<'instances' | 'cores' | 'ram' | 'key_pairs' | 'network' | 'subnet' | 'port' | 'router' | 'floatingip' | 'security_group', Amount> & Partial<Record<VolumeQuota, Amount>>;
/** Of block storage, where there is one; a type of volumes may have some of its own, such as `gigabytes_fast`. */
export type VolumeQuota = 'volumes' | 'gigabytes' | 'snapshots' | 'backups' | 'backup_gigabytes' | `${'volumes' | 'gigabytes' | 'snapshots'}_${string}`;

/** How much of the project's quotas is used; -1 is no limit. */
export function useQuotas() {
  const { project, services } = useHere();
  return useQuery({
    queryKey: [project.id, 'quotas'],
    queryFn: async (): Promise<Quotas> => {
      type Sets = Record<string, { limit: number; in_use?: number; used?: number }>;
      const [compute, network, block] = await Promise.all([
        ask<{ quota_set: Sets }>('compute', `/v2.1/os-quota-sets/${project.id}/detail`, { project: project.id, version: COMPUTE }),
        ask<{ quota: Sets }>('network', `/v2.0/quotas/${project.id}/details.json`, { project: project.id }),
        services.has(BLOCK) ? ask<{ quota_set: Sets }>('block', `/v3/${project.id}/os-quota-sets/${project.id}?usage=true`, { project: project.id, version: VOLUME }) : undefined,
      ]);
      const all: Record<string, Amount> = {};
      for (const [name, set] of Object.entries({ ...compute.quota_set, ...network.quota, ...block?.quota_set })) {
        if (typeof set === 'object') all[name] = { limit: set.limit, used: set.in_use ?? set.used ?? 0 };
      }
      return all as Quotas;
    },
  });
}

export const fetchSession = () => own<Session>('/session');
