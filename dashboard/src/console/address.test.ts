import { expect, it } from 'vitest';
import { addressOf, pageOf } from './address';

it('a console is a WebSocket of this very host, whatever a link says', () => {
  const at = (search: string) => addressOf({ search, host: 'cloud.test', protocol: 'https:' });
  expect(at('?path=compute%2Fconsole%3Ftoken%3Dabc123')).toEqual({ kind: 'vnc', url: 'wss://cloud.test/compute/console?token=abc123' });
  const page = pageOf('ws://cloud.test/compute/console?token=abc123');
  expect(at(page.slice(page.indexOf('?')))).toEqual({ kind: 'serial', url: 'wss://cloud.test/compute/console?token=abc123' });
  for (const bad of ['', '?path=https%3A%2F%2Fevil.test', '?path=compute%2Fconsole%3Ftoken%3D', '?path=..%2Fx%3Ftoken%3Da']) expect(at(bad)).toBeUndefined();
});
