import { expect, it } from 'vitest';
import { openstack } from './cli';
import type { Flavor, Server } from './kinds';
import { bootBody, bootOptions, shortOf, shortOfResize } from './launch';

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

it('a new size is counted by what it has more, and a disk does not shrink', () => {
  const server = { image: { id: 'i' }, flavor: { vcpus: 1, ram: 1024, disk: 10 } } as Server;
  expect(shortOfResize(flavor, server, left(0, 1, 1024))).toBeUndefined();
  expect(shortOfResize(flavor, server, left(0, 0, 1024))).toBe('Your quota has 0 vCPUs left; this needs 1.');
  expect(shortOfResize({ ...flavor, disk: 5 }, server, undefined)).toContain('10 GiB');
  expect(shortOfResize({ ...flavor, disk: 5 }, { ...server, image: '' }, undefined)).toBeUndefined();
});

it('a server starts from an image, a copy of it on a volume, or a volume', () => {
  expect(bootBody({ from: 'image', image: 'i' })).toEqual({ imageRef: 'i' });
  const copy = { from: 'new-volume', image: 'i', size: 10, goes: true } as const;
  expect(bootBody(copy)).toEqual({ imageRef: '', block_device_mapping_v2: [{ boot_index: 0, destination_type: 'volume', source_type: 'image', uuid: 'i', volume_size: 10, delete_on_termination: true }] });
  expect(openstack('server create', bootOptions({ ...copy, goes: false }, 'debian'), 'web')).toBe('openstack server create --image debian --boot-from-volume 10 web');
  expect(openstack('server create', bootOptions(copy, 'debian'), 'web')).toContain('--block-device uuid=i,source_type=image,');
  expect(openstack('server create', bootOptions({ from: 'volume', volume: 'v' }, 'root'), 'web')).toBe('openstack server create --volume root web');
});
