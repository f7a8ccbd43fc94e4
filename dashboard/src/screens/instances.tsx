// Every server of the project; for an administrator, of all projects if asked.
import SpaceBetween from '@cloudscape-design/components/space-between';
import { addresses, useServerActions } from '../parts/servers';
import { useThings } from '../cloud/session';
import { List } from '../parts/list';
import { Ago, Copy, Status, To, useGo } from '../parts/small';

export function Instances() {
  const { things, loading, error } = useThings('servers');
  const images = useThings('images').things;
  const { actions, dialog } = useServerActions();
  const go = useGo();
  const imageName = (id: string | undefined) => images.find((image) => image.id === id)?.name ?? (id ? id.slice(0, 8) : '–');
  return (
    <>
      <List
        title="Instances"
        one="instance"
        things={things}
        loading={loading}
        error={error}
        id={(server) => server.id}
        name={(server) => server.name}
        actions={actions}
        create={{ label: 'Launch instance', go: () => go('/instances/launch') }}
        columns={[
          { id: 'name', header: 'Name', cell: (server) => <To to={`/instances/${server.id}`}>{server.name}</To>, by: (server) => server.name, width: 140 },
          { id: 'status', header: 'Status', cell: (server) => <Status status={server.status} task={server['OS-EXT-STS:task_state']} />, by: (server) => server.status, width: 150 },
          { id: 'fixed', header: 'Fixed IP', cell: (server) => <Addresses all={addresses(server, 'fixed')} />, by: (server) => addresses(server, 'fixed').join(' '), width: 150 },
          { id: 'floating', header: 'Floating IP', cell: (server) => <Addresses all={addresses(server, 'floating')} />, by: (server) => addresses(server, 'floating').join(' '), width: 150 },
          { id: 'flavor', header: 'Flavor', cell: (server) => server.flavor.original_name, by: (server) => server.flavor.original_name },
          { id: 'image', header: 'Image', cell: (server) => imageName(server.image ? server.image.id : undefined), by: (server) => imageName(server.image ? server.image.id : undefined) },
          { id: 'created', header: 'Created', cell: (server) => <Ago at={server.created} />, by: (server) => server.created },
        ]}
      />
      {dialog}
    </>
  );
}

function Addresses({ all }: { all: string[] }) {
  if (all.length === 0) return <>–</>;
  return <SpaceBetween size="xxxs">{all.map((address) => <Copy key={address} text={address} />)}</SpaceBetween>;
}
