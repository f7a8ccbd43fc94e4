// Volumes, their snapshots and backups: what can be done in which state, what a new one needs, and each as a command.
import type { Action } from './actions';
import { openstack, type Option } from './cli';
import type { Backup, Image, Snapshot, Volume } from './kinds';
import type { Amount, Quotas } from './session';
import { sentence } from './words';

/** A thing that may have no name goes by the beginning of its id. */
export const called = (thing: { id: string; name: string | null }) => thing.name || thing.id.slice(0, 8);
export const isIn = (...states: string[]) => (thing: { status: string }): true | string =>
  states.includes(thing.status) || `It is ${sentence(thing.status).toLowerCase()}; this needs it to be ${states.map((state) => sentence(state).toLowerCase()).join(' or ')}.`;
export const inError = (thing: { status: string }) => thing.status.startsWith('error');

/** A server's root disk has this name whether it is a volume or not; other volumes come after it. */
const ROOT = '/dev/vda';
export const isRoot = (volume: Volume) => volume.attachments.some((one) => one.device === ROOT);

/** What the actions of volumes know beside the volume. */
export interface Around {
  snapshots: readonly Snapshot[];
  /** The name of a server. */
  server: (id: string) => string;
  /** Whether there is object storage, where backups are kept. */
  objects: boolean;
}

const volumeState = isIn('available', 'in-use');
const free = isIn('available');
const count = (number: number, word: string) => `${number} ${word}${number === 1 ? '' : 's'}`;

export function volumeActions({ snapshots, server, objects }: Around): Action<Volume>[] {
  const users = (volume: Volume) => volume.attachments.map((one) => server(one.server_id)).join(', ');
  const of = (volume: Volume) => snapshots.filter((snapshot) => snapshot.volume_id === volume.id).length;
  const gone = (volume: Volume): true | string => {
    if (volume.attachments.length > 0) return `It is attached to ${users(volume)}. Detach it first.`;
    if (volume.group_id) return 'It is in a group, and goes with it.';
    if (inError(volume)) return true;
    return free(volume);
  };
  const attach = (volume: Volume): true | string => {
    if (volume.status === 'in-use' && volume.multiattach) return true;
    return volume.attachments.length > 0 ? `It is attached to ${users(volume)} already.` : free(volume);
  };
  const detach = (volume: Volume): true | string => {
    if (isRoot(volume)) return `It is the root disk of ${users(volume)}.`;
    if (volume.attachments.length === 0) return 'It is attached to nothing.';
    return isIn('in-use')(volume);
  };
  return [
    { id: 'attach', label: 'Attach to an instance', opens: true, can: attach, command: (volume) => openstack('server add volume', [], 'SERVER', called(volume)) },
    {
      id: 'detach', label: 'Detach', can: detach, danger: 'Unmount it in the guest first: what is not yet written to it is lost.',
      command: (volume) => volume.attachments.map((one) => openstack('server remove volume', [], server(one.server_id), called(volume))).join('\n'),
    },
    { id: 'extend', label: 'Extend', opens: true, can: volumeState, command: (volume) => extendCommand(volume, 'SIZE') },
    { id: 'snapshot', label: 'Create snapshot', opens: true, can: volumeState, command: (volume) => snapshotCommand(volume, '', '') },
    {
      id: 'backup', label: 'Back up', opens: true, command: (volume) => backupCommand(volume, { name: '', incremental: false }),
      can: (volume) => (objects ? volumeState(volume) : 'This cloud has no object storage, where backups are kept.'),
    },
    {
      id: 'upload', label: 'Make an image', opens: true, command: (volume) => uploadCommand(volume, '', 'qcow2'),
      can: (volume) => (volume.attachments.length > 0 ? `It is attached to ${users(volume)}: what is being written makes no whole image. Detach it first.` : free(volume)),
    },
    { id: 'edit', label: 'Change name and metadata', opens: true, can: () => true, command: (volume) => openstack('volume set', [], called(volume)) },
    {
      id: 'delete', label: 'Delete', danger: 'What is on it is lost. This cannot be undone.', command: (volume) => openstack('volume delete', [], called(volume)),
      can: (volume) => (of(volume) > 0 && gone(volume) === true ? `It has ${count(of(volume), 'snapshot')}. Delete ${of(volume) === 1 ? 'it' : 'them'} first, or all of it together.` : gone(volume)),
    },
    {
      id: 'purge', label: 'Delete with its snapshots', danger: 'What is on it and in its snapshots is lost. This cannot be undone.', command: (volume) => openstack('volume delete', [['purge', true]], called(volume)),
      can: (volume) => (of(volume) === 0 ? 'It has no snapshots.' : gone(volume)),
    },
  ];
}

export const SNAPSHOT_ACTIONS: Action<Snapshot>[] = [
  { id: 'volume', label: 'Create volume', opens: true, can: free, command: (snapshot) => openstack('volume create', [['snapshot', called(snapshot)]], '') },
  {
    id: 'delete', label: 'Delete', danger: 'Volumes that were made from it stay. This cannot be undone.', command: (snapshot) => openstack('volume snapshot delete', [], called(snapshot)),
    can: (snapshot) => (snapshot.group_snapshot_id ? 'It is part of a snapshot of a group, and goes with it.' : inError(snapshot) || free(snapshot)),
  },
];

export const BACKUP_ACTIONS: Action<Backup>[] = [
  { id: 'restore', label: 'Restore', opens: true, can: free, command: (backup) => openstack('volume backup restore', [], called(backup), '') },
  {
    id: 'delete', label: 'Delete', danger: 'The volume that it was made of stays. This cannot be undone.', command: (backup) => openstack('volume backup delete', [], called(backup)),
    can: (backup) => (backup.has_dependent_backups ? 'Later backups hold only what changed since this one. Delete them first.' : inError(backup) || free(backup)),
  },
];

/** A volume in use is extended by a newer version of the API, which the command has to be told. */
export function extendCommand(volume: Volume, size: string): string {
  const verb = volume.status === 'in-use' ? '--os-volume-api-version 3.42 volume set' : 'volume set';
  return openstack(verb, [['size', size || 'SIZE']], called(volume));
}
export const snapshotCommand = (volume: Volume, name: string, description: string) =>
  openstack('volume snapshot create', [['volume', called(volume)], ['description', description], ['force', volume.status === 'in-use']], name);
export const backupCommand = (volume: Volume, { name, incremental }: { name: string; incremental: boolean }) =>
  openstack('volume backup create', [['name', name], ['incremental', incremental], ['force', volume.status === 'in-use']], called(volume));
export const uploadCommand = (volume: Volume, name: string, format: string) => openstack('image create', [['volume', called(volume)], ['disk-format', format]], name);

/** What a new volume is made from. */
export type Source = { kind: 'empty' } | { kind: 'image'; image: Image } | { kind: 'snapshot'; snapshot: Snapshot } | { kind: 'volume'; volume: Volume };

const GIB = 2 ** 30;

/** The least size in GiB of a volume from this source, and why. */
export function leastSize(source: Source | undefined): { size: number; why: string } {
  switch (source?.kind) {
    case 'image':
      return { size: Math.max(1, source.image.min_disk, Math.ceil((source.image.size ?? 0) / GIB)), why: 'the image needs it' };
    case 'snapshot':
      return { size: source.snapshot.size, why: 'the snapshot is as large' };
    case 'volume':
      return { size: source.volume.size, why: 'the other volume is as large' };
    default:
      return { size: 1, why: '' };
  }
}

export function wrongGib(text: string, least: { size: number; why: string }): string | undefined {
  if (!/^[1-9]\d{0,8}$/.test(text)) return 'A whole number of GiB.';
  if (Number(text) < least.size) return `At least ${least.size} GiB${least.why && `: ${least.why}`}.`;
  return undefined;
}

const leftOf = (amount: Amount | undefined) => (!amount || amount.limit < 0 ? Infinity : Math.max(0, amount.limit - amount.used));
type VolumeQuotas = Partial<Quotas> | undefined;

/** How many GiB more there may be, of all types and of this one. */
export const gibLeft = (quotas: VolumeQuotas, type = '') => Math.min(leftOf(quotas?.gigabytes), leftOf(quotas?.[`gigabytes_${type}`]));

/** Why the quota has no room for `volumes` more volumes of `gib` together; nothing if it has. */
export function shortOfVolumes(volumes: number, gib: number, quotas: VolumeQuotas, type = ''): string | undefined {
  const many = Math.min(leftOf(quotas?.volumes), leftOf(quotas?.[`volumes_${type}`]));
  if (volumes > many) return `Your quota has ${count(many, 'volume')} left; this needs ${volumes}.`;
  const room = gibLeft(quotas, type);
  return gib > room ? `Your quota has ${room} GiB of volumes left; this needs ${gib} GiB.` : undefined;
}

/** What is left, in words; nothing while it is not known. */
export function leftWords(quotas: VolumeQuotas, type = ''): string {
  if (!quotas?.gigabytes) return '';
  const room = gibLeft(quotas, type);
  const many = Math.min(leftOf(quotas.volumes), leftOf(quotas[`volumes_${type}`]));
  if (room === Infinity && many === Infinity) return 'Your quota has no limit.';
  const parts = [...(room === Infinity ? [] : [`${room} GiB`]), ...(many === Infinity ? [] : [count(many, 'volume')])];
  return `Your quota has ${parts.join(' and ')} left.`;
}

export interface NewVolume {
  name: string;
  description: string;
  size: string;
  type: string;
  zone: string;
}

export function createBody(source: Source | undefined, { name, description, size, type, zone }: NewVolume) {
  return {
    volume: {
      name, size: Number(size), ...(description && { description }), ...(type && { volume_type: type }), ...(zone && { availability_zone: zone }),
      ...(source?.kind === 'image' && { imageRef: source.image.id }), ...(source?.kind === 'snapshot' && { snapshot_id: source.snapshot.id }), ...(source?.kind === 'volume' && { source_volid: source.volume.id }),
    },
  };
}

export function createCommand(source: Source | undefined, { name, description, size, type, zone }: NewVolume): string {
  const from: Option[] = [
    ['image', source?.kind === 'image' && called(source.image)], ['snapshot', source?.kind === 'snapshot' && called(source.snapshot)], ['source', source?.kind === 'volume' && called(source.volume)],
  ];
  return openstack('volume create', [['size', size || 'SIZE'], ...from, ['type', type], ['availability-zone', zone], ['description', description]], name);
}

/** `key=value`, one on each line. */
export const metadataText = (metadata: Record<string, string>) => Object.entries(metadata).map(([key, value]) => `${key}=${value}`).sort().join('\n');
const lines = (text: string) => text.split('\n').map((line) => line.trim()).filter(Boolean);
export const metadataOf = (text: string): Record<string, string> => Object.fromEntries(lines(text).map((line) => [line.slice(0, line.indexOf('=')).trim(), line.slice(line.indexOf('=') + 1).trim()]));

export function wrongMetadata(text: string): string | undefined {
  for (const line of lines(text)) {
    const at = line.indexOf('=');
    if (at < 1) return `"${line}": a name and a value, such as colour=blue.`;
    if (at > 255 || line.length - at - 1 > 255) return `"${line.slice(0, 20)}…": at most 255 characters in a name and in a value.`;
  }
  return undefined;
}

export interface Edit {
  name: string;
  description: string;
  bootable: boolean;
  metadata: string;
}

/** What a change of a volume's words says; what stays is not said. */
export function editCommand(volume: Volume, edit: Edit): string {
  const before = metadataText(volume.metadata);
  const after = metadataText(metadataOf(edit.metadata));
  const bootable = volume.bootable === 'true';
  return openstack(
    'volume set',
    [
      ['name', edit.name !== (volume.name ?? '') && edit.name], ['description', edit.description !== (volume.description ?? '') && edit.description],
      [edit.bootable ? 'bootable' : 'non-bootable', edit.bootable !== bootable],
      // What there was goes, so that what is no more is not left over.
      ['no-property', before !== after && before !== ''], ['property', before === after ? [] : lines(after)],
    ],
    called(volume),
  );
}
