import { expect, it } from 'vitest';
import type { Flavor } from './kinds';
import { shortOf } from './launch';

const flavor = { vcpus: 2, ram: 2048, disk: 10 } as Flavor;
const left = (instances: number, cores: number, ram: number) => ({ instances: { used: 0, limit: instances }, cores: { used: 0, limit: cores }, ram: { used: 0, limit: ram } });

it('a size says what stands in its way', () => {
  expect(shortOf(flavor, undefined, 1, left(1, 2, 2048))).toBeUndefined();
  expect(shortOf(flavor, undefined, 2, left(1, 20, 20480))).toBe('Your quota has 1 instances left; this needs 2.');
  expect(shortOf(flavor, undefined, 2, left(5, 3, 20480))).toContain('3 vCPUs left; this needs 4');
  expect(shortOf(flavor, undefined, 1, left(5, 5, 1024))).toContain('1 GiB memory left; this needs 2 GiB');
  expect(shortOf(flavor, { min_disk: 20, min_ram: 0 }, 1, left(5, 5, 5000))).toContain('20 GiB');
  expect(shortOf(flavor, undefined, 50, left(-1, -1, -1))).toBeUndefined();
});
