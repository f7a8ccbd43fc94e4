// One way to the services: through the dashboard's own server, which holds the token. Nothing here knows one.

export interface Ask {
  method?: string;
  project?: string;
  body?: unknown;
  version?: string;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** A refusal: what a person should read, and the id by which the log knows it. */
export class Fault extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly requestId = '',
  ) {
    super(message);
    this.name = 'Fault';
  }
}

export const ROOT = '/dashboard';
const ACTIVE_FOR_MS = 60_000;
let lastActive = 0;
let onSignedOut: () => void = () => {};
/** How often somebody has signed in on this page: a refusal of what was asked before is no news of the session. */
let signIns = 0;

export function watchActivity(signedOut: () => void): void {
  onSignedOut = signedOut;
  const note = () => (lastActive = Date.now());
  for (const event of ['pointerdown', 'keydown', 'wheel']) addEventListener(event, note, { passive: true, capture: true });
  note();
}

/** A session has begun. What is still on its way belongs to the one before. */
export function signedIn(): void {
  signIns += 1;
}

function refusedAs(status: number, askedIn: number): void {
  if (status === 401 && askedIn === signIns) onSignedOut();
}

export const isActive = () => Date.now() - lastActive < ACTIVE_FOR_MS;

/** The words of a refusal, in whichever form the service has. */
export function faultText(body: string, status: number): string {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    const plain = body.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ').trim();
    return plain.slice(0, 300) || `The service answered ${status} and said nothing.`;
  }
  // Orchestration has a word for every 400, and the one that says what is wrong below it.
  const inner = (value as { error?: { message?: unknown } } | null)?.error?.message;
  if (typeof inner === 'string' && inner) return inner;
  const seen: unknown[] = [value];
  while (seen.length > 0) {
    const next = seen.shift();
    if (Array.isArray(next)) seen.push(...next);
    else if (next && typeof next === 'object') {
      const words = next as Record<string, unknown>;
      for (const key of ['message', 'detail', 'explanation']) if (typeof words[key] === 'string' && words[key]) return words[key];
      seen.push(...Object.values(words));
    }
  }
  return `The service answered ${status}.`;
}

export function headersOf(ask: Ask): Record<string, string> {
  const headers: Record<string, string> = { Accept: 'application/json', 'X-Nephos-Dashboard': '1', ...ask.headers };
  if (ask.project) headers['X-Nephos-Project'] = ask.project;
  if (ask.version) headers['OpenStack-API-Version'] = ask.version;
  if (isActive()) headers['X-Nephos-Active'] = '1';
  if (ask.body !== undefined && !headers['Content-Type']) headers['Content-Type'] = 'application/json';
  return headers;
}

async function send(url: string, ask: Ask): Promise<Response> {
  const askedIn = signIns;
  let response: Response;
  try {
    response = await fetch(url, {
      method: ask.method ?? 'GET',
      headers: headersOf(ask),
      body: ask.body === undefined ? undefined : JSON.stringify(ask.body),
      signal: ask.signal,
    });
  } catch (why) {
    if (ask.signal?.aborted) throw why;
    throw new Fault('The cloud cannot be reached. Check your connection; nothing was lost.', 0);
  }
  if (response.ok) return response;
  const text = await response.text();
  const id = response.headers.get('x-openstack-request-id') ?? '';
  if (!url.endsWith('/v1/session')) refusedAs(response.status, askedIn);
  throw new Fault(faultText(text, response.status), response.status, id);
}

/** A call of a service; an empty answer is `undefined`. */
export async function ask<T>(service: string, path: string, how: Ask = {}): Promise<T> {
  const response = await send(`${ROOT}/api/${service}${path}`, how);
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

/** What a service says of something in its headers. */
export async function headersAt(service: string, path: string, how: Ask = {}): Promise<Headers> {
  return (await send(`${ROOT}/api/${service}${path}`, { method: 'HEAD', ...how })).headers;
}

/** A call of the dashboard itself. */
export async function own<T>(path: string, how: Ask = {}): Promise<T> {
  const response = await send(`${ROOT}/v1${path}`, how);
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as T;
}

/** Sends a file and says how far it is. The browser reads it piece by piece, so its size does not matter. */
export function upload(path: string, file: Blob, how: Ask, progress: (sent: number) => void): { done: Promise<void>; stop: () => void } {
  const request = new XMLHttpRequest();
  const askedIn = signIns;
  const done = new Promise<void>((resolve, reject) => {
    request.open('PUT', `${ROOT}/api/${path}`);
    const headers = headersOf({ ...how, headers: { 'Content-Type': 'application/octet-stream', ...how.headers } });
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => progress(event.loaded);
    request.onerror = () => reject(new Fault('The upload broke off, and nothing of it is kept. Send it again.', 0));
    request.onabort = () => reject(new Fault('The upload was stopped.', 0));
    request.onload = () => {
      if (request.status < 300) return resolve();
      refusedAs(request.status, askedIn);
      reject(new Fault(faultText(request.responseText, request.status), request.status, request.getResponseHeader('x-openstack-request-id') ?? ''));
    };
    request.send(file);
  });
  return { done, stop: () => request.abort() };
}
