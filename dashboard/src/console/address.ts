// Where a console is, by the link that was given out.

export interface Address {
  kind: 'vnc' | 'serial';
  /** A WebSocket of this very host. */
  url: string;
}

/** `?path=compute%2Fconsole%3Ftoken%3D…`, with `kind=serial` for a terminal. */
export function addressOf(place: { search: string; host: string; protocol: string }): Address | undefined {
  const query = new URLSearchParams(place.search);
  const path = query.get('path') ?? '';
  if (!/^compute\/console\?token=[0-9a-f]+$/.test(path)) return undefined;
  const scheme = place.protocol === 'https:' ? 'wss' : 'ws';
  return { kind: query.get('kind') === 'serial' ? 'serial' : 'vnc', url: `${scheme}://${place.host}/${path}` };
}

/** The page of a serial console, whose link is a WebSocket: `ws://host/compute/console?token=…`. */
export function pageOf(link: string): string {
  const { pathname, search } = new URL(link);
  return `/dashboard/console.html?kind=serial&path=${encodeURIComponent(pathname.replace(/^\//, '') + search)}`;
}
