// Lists update themselves: one event stream says which have changed. It watches what the page shows and nothing else.
import { QueryClient } from '@tanstack/react-query';
import { ROOT } from './api';
import { LISTS } from './kinds';

/** What else is looked at again when a list has changed. */
const ALONG: Record<string, string[]> = {
  servers: ['quotas'], networks: ['quotas'], routers: ['quotas'], floatingips: ['quotas'], 'security-groups': ['quotas'], ports: ['quotas'], keypairs: ['quotas'],
  volumes: ['quotas'], snapshots: ['quotas'], backups: ['quotas'],
};

/** A stream that was refused is asked for again after this long; the browser itself only repeats one that broke off. */
const AGAIN_MS = 10_000;

/** Query keys begin `[project, kind, …]`. The lists that the page's queries show, sorted. */
export function watched(keys: readonly (readonly unknown[])[], project: string): string[] {
  const kinds = keys.filter((key) => key[0] === project && typeof key[1] === 'string' && key[1] in LISTS).map((key) => key[1] as string);
  return [...new Set(kinds)].sort().slice(0, 12);
}

/** What has to be looked at again, given what was known and what was just seen. */
export function changed(known: Map<string, string>, seen: Record<string, string>): string[] {
  const kinds = Object.entries(seen).filter(([kind, digest]) => known.get(kind) !== digest).map(([kind]) => kind);
  for (const kind of kinds) known.set(kind, seen[kind]!);
  return [...new Set(kinds.flatMap((kind) => [kind, ...(ALONG[kind] ?? [])]))];
}

/** Watches until the returned function is called; tells whether the stream is there. */
export function watchLists(client: QueryClient, project: string, tell: (live: boolean) => void, signedOut: () => void): () => void {
  const known = new Map<string, string>();
  let source: EventSource | undefined;
  let watching = '';
  let timer: ReturnType<typeof setTimeout> | undefined;
  let again: ReturnType<typeof setTimeout> | undefined;

  const open = () => {
    const cache = client.getQueryCache().getAll();
    const kinds = watched(cache.filter((query) => query.getObserversCount() > 0).map((query) => query.queryKey), project).join(',');
    if (kinds === watching && source && source.readyState !== EventSource.CLOSED) return;
    source?.close();
    watching = kinds;
    if (!kinds) return;
    source = new EventSource(`${ROOT}/v1/events?project=${encodeURIComponent(project)}&kinds=${kinds}`);
    source.addEventListener('seen', (event) => {
      tell(true);
      for (const kind of changed(known, JSON.parse((event as MessageEvent).data))) void client.invalidateQueries({ queryKey: [project, kind] });
    });
    source.addEventListener('signed-out', () => {
      source?.close();
      signedOut();
    });
    source.onerror = () => {
      tell(false);
      clearTimeout(again);
      if (source?.readyState === EventSource.CLOSED) again = setTimeout(open, AGAIN_MS);
    };
  };
  const soon = () => {
    clearTimeout(timer);
    timer = setTimeout(open, 250);
  };
  const stopCache = client.getQueryCache().subscribe((event) => {
    if (event.type === 'observerAdded' || event.type === 'observerRemoved') soon();
  });
  const back = () => document.visibilityState === 'visible' && soon();
  document.addEventListener('visibilitychange', back);
  soon();
  return () => {
    clearTimeout(timer);
    clearTimeout(again);
    stopCache();
    document.removeEventListener('visibilitychange', back);
    source?.close();
  };
}
