// The volumes of one server.
import { useQuery } from '@tanstack/react-query';
import { attachable } from '../cloud/actions';
import { openstack } from '../cloud/cli';
import { COMPUTE, type Server } from '../cloud/kinds';
import { useAsk, useHere, useThings } from '../cloud/session';
import { called, isRoot } from '../cloud/volumes';
import { List } from '../parts/list';
import { Status, To } from '../parts/small';
import { useAttaching } from '../parts/volumes';

interface Place { volumeId: string; device: string; delete_on_termination: boolean }

export function ServerVolumes({ server, attach }: { server: Server; attach: () => void }) {
  const ask = useAsk();
  const { project } = useHere();
  const volumes = useThings('volumes');
  const { detach } = useAttaching();
  // The server says what goes with it; what the volumes say of themselves is news of the event stream.
  const places = useQuery({
    queryKey: [project.id, 'volumes', 'of', server.id],
    queryFn: () => ask<{ volumeAttachments: Place[] }>('compute', `/v2.1/servers/${server.id}/os-volume_attachments`, { version: COMPUTE }).then((answer) => answer.volumeAttachments),
  });
  const rows = (places.data ?? []).map((place) => ({ ...place, volume: volumes.things.find((volume) => volume.id === place.volumeId) }));
  type Row = (typeof rows)[number];
  const name = (row: Row) => (row.volume ? called(row.volume) : row.volumeId.slice(0, 8));
  const can = attachable(server);
  return (
    <List
      variant="container"
      title="Volumes"
      one="volume"
      things={rows}
      loading={places.isPending}
      error={places.error}
      id={(row) => row.volumeId}
      name={name}
      create={{ label: 'Attach a volume', go: attach, why: can === true ? undefined : can }}
      empty="It has no volumes."
      actions={[
        {
          id: 'detach', label: 'Detach', danger: 'Unmount it in the guest first: what is not yet written to it is lost.',
          can: (row: Row) => {
            if (row.volume && isRoot(row.volume)) return 'It is the root disk.';
            if (row.volume && row.volume.status !== 'in-use') return 'Something is going on with it.';
            return can;
          },
          command: (row) => openstack('server remove volume', [], server.name, name(row)),
          run: (row) => detach(server.id, row.volumeId),
        },
      ]}
      columns={[
        { id: 'name', header: 'Name', cell: (row) => <To to={`/volumes/${row.volumeId}`}>{name(row)}</To>, by: name },
        { id: 'status', header: 'Status', cell: (row) => (row.volume ? <Status status={row.volume.status} /> : '–'), by: (row) => row.volume?.status ?? '' },
        { id: 'size', header: 'Size', cell: (row) => (row.volume ? `${row.volume.size} GiB` : '–'), by: (row) => row.volume?.size ?? 0 },
        { id: 'device', header: 'As', cell: (row) => <span className="mono">{row.device}</span>, by: (row) => row.device },
        { id: 'goes', header: 'Deleted with the instance', cell: (row) => (row.delete_on_termination ? 'Yes' : 'No') },
      ]}
    />
  );
}
