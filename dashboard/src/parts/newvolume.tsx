// The form of a new volume: from nothing, an image, a snapshot or another volume.
import { useQuery } from '@tanstack/react-query';
import { VOLUME, type VolumeType } from '../cloud/kinds';
import { useAsk, useHere, useQuotas, useThings } from '../cloud/session';
import { bytes } from '../cloud/words';
import { called, createBody, createCommand, leastSize, leftWords, shortOfVolumes, wrongGib, type NewVolume, type Source } from '../cloud/volumes';
import { FormDialog, text, type Field, type Values } from './form';

const hasType = (values: Values) => values.from === 'empty' || values.from === 'image';

type From = { kind: Source['kind']; id: string };

export function CreateVolume({ from = { kind: 'empty', id: '' }, close }: { from?: From; close: () => void }) {
  const ask = useAsk();
  const { project } = useHere();
  const at = `/v3/${project.id}`;
  const images = useThings('images').things.filter((image) => image.status === 'active');
  const snapshots = useThings('snapshots').things.filter((snapshot) => snapshot.status === 'available');
  const volumes = useThings('volumes').things;
  const copied = volumes.filter((volume) => volume.status === 'available' || volume.status === 'in-use');
  const types = useThings('volume-types').things;
  const quotas = useQuotas().data;
  const usual = useQuery({ queryKey: [project.id, 'volume-types', 'usual'], queryFn: () => ask<{ volume_type: VolumeType }>('block', `${at}/types/default`, { version: VOLUME }).then((answer) => answer.volume_type.name), staleTime: 60_000, retry: false }).data ?? '';
  const zones = useQuery({ queryKey: [project.id, 'volume-zones'], queryFn: () => ask<{ availabilityZoneInfo: { zoneName: string; zoneState: { available: boolean } }[] }>('block', `${at}/os-availability-zone`, { version: VOLUME }).then((answer) => answer.availabilityZoneInfo), staleTime: 60_000 }).data ?? [];

  const sourceOf = (values: Values): Source | undefined => {
    const kind = text(values, 'from') || from.kind;
    const id = text(values, kind) || (kind === from.kind ? from.id : '');
    const image = images.find((one) => one.id === id);
    const snapshot = snapshots.find((one) => one.id === id);
    const volume = volumes.find((one) => one.id === id);
    if (kind === 'image') return image && { kind, image };
    if (kind === 'snapshot') return snapshot && { kind, snapshot };
    return kind === 'volume' ? volume && { kind, volume } : { kind: 'empty' };
  };
  const fields = (typed: Values): Field[] => {
    const source = sourceOf(typed);
    const least = leastSize(source);
    // A copy of a volume is of the same type.
    const type = source?.kind === 'volume' ? (source.volume.volume_type ?? '') : text(typed, 'type') || usual;
    const asked = (kind: string) => (values: Values) => values.from === kind;
    return [
      { name: 'name', label: 'Name', placeholder: 'data', wrong: (value) => (value.length > 255 ? 'At most 255 characters.' : undefined) },
      {
        name: 'from', label: 'Made from', kind: 'select', initial: from.kind,
        choices: [{ value: 'empty', label: 'Nothing: it is empty' }, { value: 'image', label: 'An image' }, { value: 'snapshot', label: 'A snapshot' }, { value: 'volume', label: 'Another volume' }],
      },
      { name: 'image', label: 'Image', kind: 'select', asked: asked('image'), choices: images.map((image) => ({ value: image.id, label: image.name ?? image.id, description: `${image.disk_format ?? ''} · ${bytes(image.size)}` })) },
      { name: 'snapshot', label: 'Snapshot', kind: 'select', initial: from.kind === 'snapshot' ? from.id : '', asked: asked('snapshot'), choices: snapshots.map((one) => ({ value: one.id, label: called(one), description: `${one.size} GiB` })) },
      { name: 'volume', label: 'Volume', kind: 'select', asked: asked('volume'), choices: copied.map((one) => ({ value: one.id, label: called(one), description: `${one.size} GiB${one.status === 'in-use' ? ' · in use' : ''}` })) },
      {
        name: 'size', label: 'Size, in GiB', kind: 'number', initial: String(least.size), hint: leftWords(quotas, type),
        wrong: (value) => wrongGib(value, least) ?? shortOfVolumes(1, Number(value), quotas, type),
      },
      { name: 'type', label: 'Type', kind: 'select', initial: usual, optional: true, asked: hasType, choices: types.map((one) => ({ value: one.name, label: one.name, description: one.description ?? undefined })) },
      { name: 'zone', label: 'Availability zone', kind: 'select', initial: '', optional: true, asked: () => zones.length > 1, choices: [{ value: '', label: 'Any' }, ...zones.filter((zone) => zone.zoneState.available).map((zone) => ({ value: zone.zoneName, label: zone.zoneName }))] },
      { name: 'description', label: 'Description', optional: true },
    ];
  };
  const wanted = (values: Values): NewVolume => ({
    name: text(values, 'name'), description: text(values, 'description'), size: text(values, 'size'), zone: text(values, 'zone'),
    type: hasType(values) && text(values, 'type') !== usual ? text(values, 'type') : '',
  });
  return (
    <FormDialog
      title="Create a volume"
      button="Create"
      fields={fields}
      close={close}
      done={(values) => `The volume ${text(values, 'name')} is being made`}
      command={(values) => createCommand(sourceOf(values), wanted(values))}
      submit={(values) => ask('block', `${at}/volumes`, { method: 'POST', version: VOLUME, body: createBody(sourceOf(values), wanted(values)) })}
    />
  );
}
