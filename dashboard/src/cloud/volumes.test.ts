import { describe, expect, it } from 'vitest';
import { canAll } from './actions';
import type { Backup, Image, Snapshot, Volume } from './kinds';
import { BACKUP_ACTIONS, createBody, createCommand, editCommand, extendCommand, leastSize, leftWords, metadataOf, metadataText, shortOfVolumes, SNAPSHOT_ACTIONS, volumeActions, wrongMetadata, wrongGib } from './volumes';

const volume = (status: string, more: Partial<Volume> = {}) => ({ id: '0b6b6b00-1', name: 'data', status, size: 10, bootable: 'false', multiattach: false, attachments: [], metadata: {}, description: null, ...more }) as unknown as Volume;
const attachments = (device = '/dev/vdb') => [{ server_id: 's', device, attached_at: null }];
const around = { snapshots: [] as Snapshot[], server: (id: string) => (id === 's' ? 'web' : id), objects: true };
const can = (id: string, thing: Volume, more: Partial<typeof around> = {}) => volumeActions({ ...around, ...more }).find((action) => action.id === id)!.can(thing);
const command = (id: string, thing: Volume) => volumeActions(around).find((action) => action.id === id)!.command(thing);

describe('what can be done with a volume', () => {
  it('depends on its state and on who uses it, and a reason says why not', () => {
    for (const id of ['attach', 'extend', 'snapshot', 'backup', 'upload', 'edit', 'delete']) expect(can(id, volume('available'))).toBe(true);
    expect(can('detach', volume('available'))).toBe('It is attached to nothing.');
    expect(can('purge', volume('available'))).toBe('It has no snapshots.');
    const used = volume('in-use', { attachments: attachments() });
    for (const id of ['detach', 'extend', 'snapshot', 'backup', 'edit']) expect(can(id, used)).toBe(true);
    expect(can('attach', used)).toBe('It is attached to web already.');
    expect(can('delete', used)).toBe('It is attached to web. Detach it first.');
    expect(can('upload', used)).toContain('Detach it first');
    expect(can('attach', { ...used, multiattach: true })).toBe(true);
    expect(can('extend', volume('extending'))).toBe('It is extending; this needs it to be available or in use.');
    expect(can('detach', volume('in-use', { attachments: attachments('/dev/vda') }))).toBe('It is the root disk of web.');
  });
  it('in error it can still be deleted, with snapshots only together, and never out of a group', () => {
    const snapshots = [{ volume_id: '0b6b6b00-1' }] as Snapshot[];
    expect(can('delete', volume('error_extending'))).toBe(true);
    expect(can('delete', volume('available'), { snapshots })).toContain('It has 1 snapshot');
    expect(can('purge', volume('available'), { snapshots })).toBe(true);
    expect(can('purge', volume('deleting'), { snapshots })).toContain('deleting');
    expect(can('delete', volume('available', { group_id: 'g' }))).toContain('group');
  });
  it('backups need object storage', () => {
    expect(can('backup', volume('available'), { objects: false })).toContain('object storage');
  });
  it('snapshots and backups have theirs', () => {
    const of = <T>(actions: { id: string; can: (thing: T) => true | string }[], id: string, thing: unknown) => actions.find((action) => action.id === id)!.can(thing as T);
    expect(of<Snapshot>(SNAPSHOT_ACTIONS, 'volume', { status: 'creating' })).toContain('creating');
    expect(of<Snapshot>(SNAPSHOT_ACTIONS, 'delete', { status: 'error' })).toBe(true);
    expect(of<Snapshot>(SNAPSHOT_ACTIONS, 'delete', { status: 'available', group_snapshot_id: 'g' })).toContain('group');
    expect(of<Backup>(BACKUP_ACTIONS, 'delete', { status: 'available', has_dependent_backups: true })).toContain('Later backups');
    expect(of<Backup>(BACKUP_ACTIONS, 'restore', { status: 'creating' })).toContain('available');
  });
  it('of several, only what asks for nothing more is done at once', () => {
    const extend = volumeActions(around).find((action) => action.id === 'extend')!;
    expect(canAll(extend, [volume('available'), volume('available', { id: 'b' })], (one) => one.id)).toBe('Select only one.');
  });
});

describe('the same as a command', () => {
  it('names the volume, or its id if it has no name', () => {
    expect(command('detach', volume('in-use', { attachments: attachments() }))).toBe('openstack server remove volume web data');
    expect(command('delete', volume('available', { name: null }))).toBe('openstack volume delete 0b6b6b00');
    expect(extendCommand(volume('available'), '20')).toBe('openstack volume set --size 20 data');
    expect(extendCommand(volume('in-use'), '')).toBe('openstack --os-volume-api-version 3.42 volume set --size SIZE data');
  });
  it('says of a change only what changes', () => {
    const before = volume('available', { metadata: { a: '1', b: '2' }, description: 'old' });
    expect(editCommand(before, { name: 'data', description: 'old', bootable: false, metadata: 'b=2\na=1' })).toBe('openstack volume set data');
    expect(editCommand(before, { name: 'logs', description: 'old', bootable: true, metadata: 'a=x y' })).toBe("openstack volume set --name logs --bootable --no-property --property 'a=x y' data");
  });
});

describe('a new volume', () => {
  const image = { id: 'i', name: 'debian', min_disk: 2, size: 3 * 2 ** 30 + 1 } as Image;
  it('is at least as large as what it is made from', () => {
    expect(leastSize(undefined).size).toBe(1);
    expect(leastSize({ kind: 'image', image })).toEqual({ size: 4, why: 'the image needs it' });
    expect(wrongGib('3', leastSize({ kind: 'image', image }))).toBe('At least 4 GiB: the image needs it.');
    expect(wrongGib('9', leastSize({ kind: 'volume', volume: volume('available') }))).toContain('At least 10 GiB');
    expect(wrongGib('1.5', leastSize(undefined))).toBe('A whole number of GiB.');
    expect(wrongGib('1', leastSize(undefined))).toBeUndefined();
  });
  it('has room in the quota of all types and of its own', () => {
    const quotas = { volumes: { used: 9, limit: 10 }, gigabytes: { used: 0, limit: 100 }, gigabytes_fast: { used: 0, limit: 5 } };
    expect(shortOfVolumes(1, 100, quotas)).toBeUndefined();
    expect(shortOfVolumes(2, 20, quotas)).toBe('Your quota has 1 volume left; this needs 2.');
    expect(shortOfVolumes(1, 6, quotas, 'fast')).toBe('Your quota has 5 GiB of volumes left; this needs 6 GiB.');
    expect(shortOfVolumes(1, 1, undefined)).toBeUndefined();
    expect(leftWords(quotas, 'fast')).toBe('Your quota has 5 GiB and 1 volume left.');
    expect(leftWords({ volumes: { used: 1, limit: -1 }, gigabytes: { used: 1, limit: -1 } })).toBe('Your quota has no limit.');
    expect(leftWords(undefined)).toBe('');
  });
  it('says what it is made from', () => {
    const wanted = { name: 'root', description: '', size: '4', type: 'fast', zone: '' };
    expect(createBody({ kind: 'image', image }, wanted)).toEqual({ volume: { name: 'root', size: 4, volume_type: 'fast', imageRef: 'i' } });
    expect(createCommand({ kind: 'image', image }, wanted)).toBe('openstack volume create --size 4 --image debian --type fast root');
    expect(createCommand(undefined, { ...wanted, name: '', size: '', type: '' })).toBe('openstack volume create --size SIZE NAME');
  });
});

it('metadata is a name and a value on each line', () => {
  expect(metadataOf('a=1\n\n b = x=y ')).toEqual({ a: '1', b: 'x=y' });
  expect(metadataText({ b: '2', a: '1' })).toBe('a=1\nb=2');
  expect(wrongMetadata('a=1\nb')).toContain('"b"');
  expect(wrongMetadata(`a=${'x'.repeat(256)}`)).toContain('255');
  expect(wrongMetadata('')).toBeUndefined();
});
