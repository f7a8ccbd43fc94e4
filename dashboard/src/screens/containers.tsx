// Containers: what objects are kept in.
import { useState } from 'react';
import { openstack } from '../cloud/cli';
import { containerPath, PUBLIC_ACL } from '../cloud/objects';
import { useAsk, useHere, useThings } from '../cloud/session';
import { bytes } from '../cloud/words';
import { flag, FormDialog, text, type Field } from '../parts/form';
import { List } from '../parts/list';
import { Ago, To } from '../parts/small';

const wrongName = (value: string) => (value.includes('/') || new TextEncoder().encode(value).length > 256 ? 'At most 256 bytes, without "/".' : undefined);
const FIELDS: Field[] = [
  { name: 'name', label: 'Name', placeholder: 'backups', wrong: wrongName },
  { name: 'public', label: 'Everybody may read', kind: 'check', hint: 'Without signing in, whoever knows the address.' },
];

export function Containers() {
  const { things, loading, error } = useThings('containers');
  const { project } = useHere();
  const ask = useAsk();
  const [open, setOpen] = useState(false);
  return (
    <>
      <List
        title="Containers"
        one="container"
        things={things}
        loading={loading}
        error={error}
        id={(container) => container.name}
        name={(container) => container.name}
        create={{ label: 'Create container', go: () => setOpen(true) }}
        columns={[
          { id: 'name', header: 'Name', cell: (container) => <To to={`/containers/${encodeURIComponent(container.name)}`}>{container.name}</To>, by: (container) => container.name },
          { id: 'count', header: 'Objects', cell: (container) => container.count, by: (container) => container.count },
          { id: 'bytes', header: 'Size', cell: (container) => bytes(container.bytes), by: (container) => container.bytes },
          { id: 'changed', header: 'Changed', cell: (container) => <Ago at={container.last_modified} />, by: (container) => container.last_modified },
        ]}
        actions={[
          {
            id: 'delete', label: 'Delete', danger: 'Its name may be taken by another.',
            can: (container) => container.count === 0 || `There ${container.count === 1 ? 'is 1 object' : `are ${container.count} objects`} in it. Delete what is in it first.`,
            command: (container) => openstack('container delete', [], container.name),
            run: (container) => ask('object', containerPath(project.id, container.name), { method: 'DELETE' }),
          },
        ]}
      />
      {open && (
        <FormDialog
          title="Create a container"
          button="Create"
          fields={FIELDS}
          close={() => setOpen(false)}
          done={(values) => `The container ${text(values, 'name')} is there`}
          command={(values) => openstack('container create', [['public', flag(values, 'public')]], text(values, 'name'))}
          submit={(values) => ask('object', containerPath(project.id, text(values, 'name')), { method: 'PUT', headers: flag(values, 'public') ? { 'X-Container-Read': PUBLIC_ACL } : {} })}
        />
      )}
    </>
  );
}
