import { expect, it } from 'vitest';
import { metaHeaders, metaText, objectPath, readers, trail, wrongMeta } from './objects';

it('names of objects are paths, whatever is in them', () => {
  expect(objectPath('p', 'a b', 'x/y ?#%/ü')).toBe('/v1/AUTH_p/a%20b/x/y%20%3F%23%25/%C3%BC');
  expect(trail('a/b/')).toEqual([{ name: 'a', prefix: 'a/' }, { name: 'b', prefix: 'a/b/' }]);
  expect(trail('')).toEqual([]);
});

it('says who may read', () => {
  expect([readers(null), readers('.r:*,.rlistings'), readers('p:u')]).toEqual(['private', 'public', 'shared']);
});

it('metadata is text, one on each line, and what is left out is taken away', () => {
  const before = metaText([['x-object-meta-b', '2'], ['etag', 'x'], ['X-Object-Meta-a', '1=1']], 'x-object-meta-');
  expect(before).toBe('a=1=1\nb=2');
  expect(metaHeaders('a=3\n\nc = 4', 'x-object-meta-', before)).toEqual({ 'x-object-meta-a': '3', 'x-object-meta-b': '', 'x-object-meta-c': '4' });
  expect([wrongMeta('a=1\n'), wrongMeta('a b=1'), wrongMeta('a=ü'), wrongMeta('none')].map((why) => why === undefined)).toEqual([true, false, false, false]);
});
