// Names and metadata of objects.
import type { Entry } from './kinds';

/** A name as a path: slashes stay, whatever else could mean something does not. */
export const pathOf = (name: string) => name.split('/').map(encodeURIComponent).join('/');

export const accountOf = (project: string) => `/v1/AUTH_${project}`;
export const containerPath = (project: string, container: string) => `${accountOf(project)}/${encodeURIComponent(container)}`;
export const objectPath = (project: string, container: string, object: string) => `${containerPath(project, container)}/${pathOf(object)}`;

/** Who may read: nobody else, everybody, or somebody who is named. */
export function readers(acl: string | null): 'private' | 'public' | 'shared' {
  const words = (acl ?? '').split(',').map((word) => word.trim()).filter(Boolean);
  if (words.includes('.r:*')) return 'public';
  return words.length > 0 ? 'shared' : 'private';
}
export const PUBLIC_ACL = '.r:*,.rlistings';

/** `key=value`, one on each line, from the headers of something. */
export function metaText(headers: Iterable<[string, string]>, prefix: string): string {
  const lines: string[] = [];
  for (const [name, value] of headers) if (name.toLowerCase().startsWith(prefix)) lines.push(`${name.slice(prefix.length)}=${value}`);
  return lines.sort().join('\n');
}

/** What is wrong with metadata as text. */
export function wrongMeta(text: string): string | undefined {
  for (const line of text.split('\n').filter((line) => line.trim())) {
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+=[\x20-\x7e]*$/.test(line.trim())) return `"${line.trim()}": a name and a value, such as colour=blue, in plain letters.`;
  }
  return undefined;
}

/** The headers that make metadata of this text; `before` is what there was, and what is no more is taken away by an empty value. */
export function metaHeaders(text: string, prefix: string, before = ''): Record<string, string> {
  const headers: Record<string, string> = {};
  const pairs = (text: string) => text.split('\n').filter((line) => line.includes('=')).map((line) => [line.slice(0, line.indexOf('=')).trim(), line.slice(line.indexOf('=') + 1).trim()] as const);
  for (const [name] of pairs(before)) headers[prefix + name] = '';
  for (const [name, value] of pairs(text)) headers[prefix + name] = value;
  return headers;
}

/** A folder's or an object's own name, without the folders it is in. */
export const lastOf = (name: string) => name.replace(/\/$/, '').split('/').pop() ?? name;
export const nameOf = (entry: Entry) => ('subdir' in entry ? entry.subdir : entry.name);

/** The folders on the way to a prefix such as `a/b/`. */
export function trail(prefix: string): { name: string; prefix: string }[] {
  const parts = prefix.split('/').slice(0, -1);
  return parts.map((name, at) => ({ name: name || '/', prefix: `${parts.slice(0, at + 1).join('/')}/` }));
}
