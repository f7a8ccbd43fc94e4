import { describe, expect, it } from 'vitest';
import { changed, watched } from './live';

describe('the event stream', () => {
  it('watches the lists on the page, each once, and only of its project', () => {
    expect(watched([['p', 'servers'], ['p', 'servers', 'id'], ['q', 'ports'], ['p', 'console', 'id'], ['p', 'networks']], 'p')).toEqual(['networks', 'servers']);
  });
  it('looks again at what differs, and at the quotas with it', () => {
    const known = new Map([['servers', 'a'], ['images', 'x']]);
    expect(changed(known, { servers: 'b', images: 'x' })).toEqual(['servers', 'quotas']);
    expect(changed(known, { servers: 'b' })).toEqual([]);
  });
});
