// What several pages know of volumes: the table of actions, each with its call, and the forms that some of them open.
import { useState } from 'react';
import { COMPUTE, VOLUME, type Backup, type Snapshot, type Volume } from '../cloud/kinds';
import { openstack } from '../cloud/cli';
import { BLOCK, useAsk, useHere, useQuotas, useThings } from '../cloud/session';
import { attachable } from '../cloud/actions';
import {
  BACKUP_ACTIONS, SNAPSHOT_ACTIONS, backupCommand, called, editCommand, extendCommand, leftWords, metadataOf, metadataText, shortOfVolumes, snapshotCommand, uploadCommand, volumeActions, wrongMetadata, wrongGib,
} from '../cloud/volumes';
import { CreateVolume } from './newvolume';
import { flag, FormDialog, text, type Field } from './form';
import type { Doable } from './list';

/** Calls block storage in the project of the page; `path` is below the project. */
export function useBlock() {
  const ask = useAsk();
  const { project } = useHere();
  return <T,>(path: string, how: { method?: string; body?: unknown } = {}) => ask<T>('block', `/v3/${project.id}${path}`, { version: VOLUME, ...how });
}

/** Gives a server a volume, and takes it away again. */
export function useAttaching() {
  const ask = useAsk();
  const place = (server: string) => `/v2.1/servers/${server}/os-volume_attachments`;
  return {
    attach: (server: string, volume: string) => ask('compute', place(server), { method: 'POST', version: COMPUTE, body: { volumeAttachment: { volumeId: volume } } }),
    detach: (server: string, volume: string) => ask('compute', `${place(server)}/${volume}`, { method: 'DELETE', version: COMPUTE }),
  };
}

export const useHasVolumes = () => useHere().services.has(BLOCK);

/** The name of a server, for whoever may see it. */
export function useServerName() {
  const servers = useThings('servers').things;
  return (id: string) => servers.find((server) => server.id === id)?.name ?? id.slice(0, 8);
}

/** The table of actions, and the form that stands open. */
export function useVolumeActions() {
  const { services } = useHere();
  const block = useBlock();
  const { detach } = useAttaching();
  const server = useServerName();
  const snapshots = useThings('snapshots').things;
  const [asked, setAsked] = useState<{ action: string; volume: Volume }>();
  const calls: Record<string, (volume: Volume) => Promise<unknown>> = {
    detach: (volume) => Promise.all(volume.attachments.map((one) => detach(one.server_id, volume.id))),
    delete: (volume) => block(`/volumes/${volume.id}`, { method: 'DELETE' }),
    purge: (volume) => block(`/volumes/${volume.id}?cascade=true`, { method: 'DELETE' }),
  };
  const table = volumeActions({ snapshots, server, objects: services.has('object-store') });
  const actions: Doable<Volume>[] = table.map((action) => ({ ...action, run: calls[action.id] ?? (async (volume) => setAsked({ action: action.id, volume })) }));
  const Dialog = asked && DIALOGS[asked.action];
  return { actions, dialog: Dialog && <Dialog volume={asked.volume} close={() => setAsked(undefined)} /> };
}

export function useSnapshotActions() {
  const block = useBlock();
  const [from, setFrom] = useState<Snapshot>();
  const actions: Doable<Snapshot>[] = SNAPSHOT_ACTIONS.map((action) => ({
    ...action,
    run: async (snapshot) => (action.opens ? setFrom(snapshot) : block(`/snapshots/${snapshot.id}`, { method: 'DELETE' })),
  }));
  return { actions, dialog: from && <CreateVolume from={{ kind: 'snapshot', id: from.id }} close={() => setFrom(undefined)} /> };
}

export function useBackupActions() {
  const block = useBlock();
  const [from, setFrom] = useState<Backup>();
  const actions: Doable<Backup>[] = BACKUP_ACTIONS.map((action) => ({
    ...action,
    run: async (backup) => (action.opens ? setFrom(backup) : block(`/backups/${backup.id}`, { method: 'DELETE' })),
  }));
  return { actions, dialog: from && <Restore backup={from} close={() => setFrom(undefined)} /> };
}

interface Open {
  volume: Volume;
  close: () => void;
}

function Attach({ volume, close }: Open) {
  const servers = useThings('servers').things.filter((server) => attachable(server) === true && !volume.attachments.some((one) => one.server_id === server.id));
  const name = useServerName();
  const { attach } = useAttaching();
  const fields: Field[] = [{ name: 'server', label: 'Instance', kind: 'select', hint: 'One that runs, is paused or shut off, and is not locked.', choices: servers.map((server) => ({ value: server.id, label: server.name, description: server.status.toLowerCase() })) }];
  return (
    <FormDialog
      title={`Attach ${called(volume)}`}
      button="Attach"
      fields={fields}
      close={close}
      done={(values) => `${called(volume)} is being attached to ${name(text(values, 'server'))}`}
      command={(values) => openstack('server add volume', [], text(values, 'server') ? name(text(values, 'server')) : 'SERVER', called(volume))}
      submit={(values) => attach(text(values, 'server'), volume.id)}
    />
  );
}

function Extend({ volume, close }: Open) {
  const block = useBlock();
  const quotas = useQuotas().data;
  const type = volume.volume_type ?? '';
  const least = { size: volume.size + 1, why: 'a volume only grows' };
  const fields: Field[] = [
    {
      name: 'size', label: 'New size, in GiB', kind: 'number', initial: String(volume.size + 1), hint: `It has ${volume.size} GiB now. ${leftWords(quotas, type)}`,
      wrong: (value) => wrongGib(value, least) ?? shortOfVolumes(0, Number(value) - volume.size, quotas, type),
    },
  ];
  return (
    <FormDialog
      title={`Extend ${called(volume)}`}
      button="Extend"
      fields={fields}
      close={close}
      done={(values) => `${called(volume)} grows to ${text(values, 'size')} GiB. File systems on it do not grow by themselves.`}
      command={(values) => extendCommand(volume, text(values, 'size'))}
      submit={(values) => block(`/volumes/${volume.id}/action`, { method: 'POST', body: { 'os-extend': { new_size: Number(text(values, 'size')) } } })}
    />
  );
}

const whileUsed = (volume: Volume) => (volume.status === 'in-use' ? 'It is in use: what the guest has not written yet is not in it.' : undefined);

function TakeSnapshot({ volume, close }: Open) {
  const block = useBlock();
  const fields: Field[] = [
    { name: 'name', label: 'Name', placeholder: 'monday', hint: whileUsed(volume) },
    { name: 'description', label: 'Description', optional: true },
  ];
  return (
    <FormDialog
      title={`Create a snapshot of ${called(volume)}`}
      button="Create"
      fields={fields}
      close={close}
      done={(values) => `The snapshot ${text(values, 'name')} is being made`}
      command={(values) => snapshotCommand(volume, text(values, 'name'), text(values, 'description'))}
      submit={(values) => block('/snapshots', { method: 'POST', body: { snapshot: { volume_id: volume.id, name: text(values, 'name'), ...(text(values, 'description') && { description: text(values, 'description') }) } } })}
    />
  );
}

function BackUp({ volume, close }: Open) {
  const block = useBlock();
  const before = useThings('backups').things.some((backup) => backup.volume_id === volume.id && backup.status === 'available');
  const fields: Field[] = [
    { name: 'name', label: 'Name', placeholder: 'weekly', hint: whileUsed(volume) },
    { name: 'incremental', label: 'Only what changed since the last one', kind: 'check', hint: 'It needs the backups before it.', asked: () => before },
  ];
  return (
    <FormDialog
      title={`Back up ${called(volume)}`}
      button="Back up"
      fields={fields}
      close={close}
      done={(values) => `The backup ${text(values, 'name')} is being made`}
      command={(values) => backupCommand(volume, { name: text(values, 'name'), incremental: before && flag(values, 'incremental') })}
      submit={(values) => block('/backups', { method: 'POST', body: { backup: { volume_id: volume.id, name: text(values, 'name'), incremental: before && flag(values, 'incremental'), force: volume.status === 'in-use' } } })}
    />
  );
}

const FORMATS = ['qcow2', 'raw', 'vmdk', 'vdi', 'vhdx'];

function MakeImage({ volume, close }: Open) {
  const block = useBlock();
  const fields: Field[] = [
    { name: 'name', label: 'Name of the image', placeholder: 'my-image' },
    { name: 'format', label: 'Format', kind: 'select', initial: 'qcow2', choices: FORMATS.map((value) => ({ value, label: value })) },
  ];
  return (
    <FormDialog
      title={`Make an image of ${called(volume)}`}
      button="Make"
      fields={fields}
      close={close}
      done={(values) => `The image ${text(values, 'name')} is being made`}
      command={(values) => uploadCommand(volume, text(values, 'name'), text(values, 'format'))}
      submit={(values) => block(`/volumes/${volume.id}/action`, { method: 'POST', body: { 'os-volume_upload_image': { image_name: text(values, 'name'), disk_format: text(values, 'format'), container_format: 'bare' } } })}
    />
  );
}

function Edit({ volume, close }: Open) {
  const block = useBlock();
  const bootable = volume.bootable === 'true';
  const fields: Field[] = [
    { name: 'name', label: 'Name', initial: volume.name ?? '', optional: true, wrong: (value) => (value.length > 255 ? 'At most 255 characters.' : undefined) },
    { name: 'description', label: 'Description', initial: volume.description ?? '', optional: true },
    { name: 'bootable', label: 'Instances can boot from it', kind: 'check', initial: bootable },
    { name: 'metadata', label: 'Metadata', kind: 'textarea', optional: true, initial: metadataText(volume.metadata), placeholder: 'colour=blue', hint: 'A name and a value on each line.', wrong: wrongMetadata },
  ];
  return (
    <FormDialog
      title={`Change ${called(volume)}`}
      button="Save"
      fields={fields}
      close={close}
      done="The volume is changed"
      command={(values) => editCommand(volume, { name: text(values, 'name'), description: text(values, 'description'), bootable: flag(values, 'bootable'), metadata: text(values, 'metadata') })}
      submit={async (values) => {
        await block(`/volumes/${volume.id}`, { method: 'PUT', body: { volume: { name: text(values, 'name'), description: text(values, 'description'), metadata: metadataOf(text(values, 'metadata')) } } });
        if (flag(values, 'bootable') !== bootable) await block(`/volumes/${volume.id}/action`, { method: 'POST', body: { 'os-set_bootable': { bootable: flag(values, 'bootable') } } });
      }}
    />
  );
}

const DIALOGS: Record<string, (open: Open) => React.ReactNode> = { attach: Attach, extend: Extend, snapshot: TakeSnapshot, backup: BackUp, upload: MakeImage, edit: Edit };

function Restore({ backup, close }: { backup: Backup; close: () => void }) {
  const block = useBlock();
  const volumes = useThings('volumes').things.filter((volume) => volume.status === 'available' && volume.size >= backup.size);
  const quotas = useQuotas().data;
  const isNew = (into: unknown) => into === '';
  const fields: Field[] = [
    { name: 'into', label: 'Into', kind: 'select', optional: true, initial: '', hint: 'What is on a volume that is there is replaced.', choices: [{ value: '', label: 'A new volume' }, ...volumes.map((volume) => ({ value: volume.id, label: called(volume), description: `${volume.size} GiB` }))] },
    { name: 'name', label: 'Name of the new volume', placeholder: 'data-again', asked: (values) => isNew(values.into), hint: leftWords(quotas), wrong: () => shortOfVolumes(1, backup.size, quotas) },
  ];
  const goal = (id: string) => volumes.find((volume) => volume.id === id);
  return (
    <FormDialog
      title={`Restore ${called(backup)}`}
      button="Restore"
      fields={fields}
      close={close}
      done={(values) => `${called(backup)} is being restored into ${text(values, 'name') || 'the volume'}`}
      command={(values) => {
        const into = goal(text(values, 'into'));
        return openstack('volume backup restore', [['force', !!into]], called(backup), into ? called(into) : text(values, 'name'));
      }}
      submit={(values) => block(`/backups/${backup.id}/restore`, { method: 'POST', body: { restore: isNew(values.into) ? { name: text(values, 'name') } : { volume_id: text(values, 'into') } } })}
    />
  );
}
