// Volumes: disks that outlive instances.
import { useState } from 'react';
import type { Volume } from '../cloud/kinds';
import { useThings } from '../cloud/session';
import { called } from '../cloud/volumes';
import { List } from '../parts/list';
import { CreateVolume } from '../parts/newvolume';
import { Ago, Status, To } from '../parts/small';
import { useServerName, useVolumeActions } from '../parts/volumes';

export function Volumes() {
  const { things, loading, error } = useThings('volumes');
  const { actions, dialog } = useVolumeActions();
  const server = useServerName();
  const [open, setOpen] = useState(false);
  const users = (volume: Volume) => volume.attachments.map((one) => server(one.server_id)).join(', ');
  return (
    <>
      <List
        title="Volumes"
        one="volume"
        things={things}
        loading={loading}
        error={error}
        id={(volume) => volume.id}
        name={called}
        create={{ label: 'Create volume', go: () => setOpen(true) }}
        actions={actions}
        columns={[
          { id: 'name', header: 'Name', cell: (volume) => <To to={`/volumes/${volume.id}`}>{called(volume)}</To>, by: called, width: 140 },
          { id: 'status', header: 'Status', cell: (volume) => <Status status={volume.status} />, by: (volume) => volume.status, width: 150 },
          { id: 'size', header: 'Size', cell: (volume) => `${volume.size} GiB`, by: (volume) => volume.size },
          { id: 'type', header: 'Type', cell: (volume) => volume.volume_type ?? '–', by: (volume) => volume.volume_type ?? '' },
          {
            id: 'attached', header: 'Attached to', by: users,
            cell: (volume) => (volume.attachments.length === 0 ? '–' : volume.attachments.map((one) => <div key={one.server_id}><To to={`/instances/${one.server_id}?tab=volumes`}>{server(one.server_id)}</To> as {one.device}</div>)),
          },
          { id: 'bootable', header: 'Bootable', cell: (volume) => (volume.bootable === 'true' ? 'Yes' : 'No'), by: (volume) => volume.bootable },
          { id: 'created', header: 'Created', cell: (volume) => <Ago at={volume.created_at} />, by: (volume) => volume.created_at },
        ]}
      />
      {open && <CreateVolume close={() => setOpen(false)} />}
      {dialog}
    </>
  );
}
