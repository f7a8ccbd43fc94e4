// Lists of snapshots and of backups: all of a project, or those of one volume.
import { useThings } from '../cloud/session';
import { called } from '../cloud/volumes';
import { List } from './list';
import { Ago, Copy, Status, To } from './small';
import { useBackupActions, useSnapshotActions } from './volumes';

interface Props {
  /** Only those of this volume. */
  volume?: string;
  create?: { label: string; go: () => void; why?: string };
}

/** The volume that something was made of, if it is still there. */
function useOrigin() {
  const volumes = useThings('volumes').things;
  const find = (id: string) => volumes.find((volume) => volume.id === id);
  return {
    name: (id: string) => { const volume = find(id); return volume ? called(volume) : id.slice(0, 8); },
    cell: (id: string) => { const volume = find(id); return volume ? <To to={`/volumes/${id}`}>{called(volume)}</To> : <Copy text={id} />; },
  };
}

export function SnapshotList({ volume, create }: Props) {
  const { things, loading, error } = useThings('snapshots');
  const { actions, dialog } = useSnapshotActions();
  const origin = useOrigin();
  return (
    <>
      <List
        variant={volume ? 'container' : 'full-page'}
        title="Snapshots"
        one="snapshot"
        things={volume ? things.filter((snapshot) => snapshot.volume_id === volume) : things}
        loading={loading}
        error={error}
        id={(snapshot) => snapshot.id}
        name={called}
        create={create}
        actions={actions}
        empty={volume ? 'It has no snapshots yet.' : 'There is no snapshot here yet. One is made on the page of a volume.'}
        columns={[
          { id: 'name', header: 'Name', cell: called, by: called, width: 140 },
          { id: 'status', header: 'Status', cell: (snapshot) => <Status status={snapshot.status} />, by: (snapshot) => snapshot.status, width: 150 },
          { id: 'size', header: 'Size', cell: (snapshot) => `${snapshot.size} GiB`, by: (snapshot) => snapshot.size },
          ...(volume ? [] : [{ id: 'volume', header: 'Of the volume', cell: (snapshot: { volume_id: string }) => origin.cell(snapshot.volume_id), by: (snapshot: { volume_id: string }) => origin.name(snapshot.volume_id) }]),
          { id: 'description', header: 'Description', cell: (snapshot) => snapshot.description || '–', by: (snapshot) => snapshot.description ?? '' },
          { id: 'created', header: 'Created', cell: (snapshot) => <Ago at={snapshot.created_at} />, by: (snapshot) => snapshot.created_at },
        ]}
      />
      {dialog}
    </>
  );
}

export function BackupList({ volume, create }: Props) {
  const { things, loading, error } = useThings('backups');
  const { actions, dialog } = useBackupActions();
  const origin = useOrigin();
  return (
    <>
      <List
        variant={volume ? 'container' : 'full-page'}
        title="Backups"
        one="backup"
        things={volume ? things.filter((backup) => backup.volume_id === volume) : things}
        loading={loading}
        error={error}
        id={(backup) => backup.id}
        name={called}
        create={create}
        actions={actions}
        empty={volume ? 'It has no backups yet.' : 'There is no backup here yet. One is made on the page of a volume.'}
        columns={[
          { id: 'name', header: 'Name', cell: called, by: called, width: 140 },
          { id: 'status', header: 'Status', cell: (backup) => <><Status status={backup.status} />{backup.fail_reason && <div>{backup.fail_reason}</div>}</>, by: (backup) => backup.status, width: 150 },
          { id: 'size', header: 'Size', cell: (backup) => `${backup.size} GiB`, by: (backup) => backup.size },
          { id: 'kind', header: 'Holds', cell: (backup) => (backup.is_incremental ? 'What changed since the one before' : 'Everything'), by: (backup) => String(backup.is_incremental) },
          ...(volume ? [] : [{ id: 'volume', header: 'Of the volume', cell: (backup: { volume_id: string }) => origin.cell(backup.volume_id), by: (backup: { volume_id: string }) => origin.name(backup.volume_id) }]),
          { id: 'created', header: 'Created', cell: (backup) => <Ago at={backup.created_at} />, by: (backup) => backup.created_at },
        ]}
      />
      {dialog}
    </>
  );
}
