// Security groups: who may reach what.
import { useState } from 'react';
import { openstack } from '../cloud/cli';
import { useAsk, useThings } from '../cloud/session';
import { FormDialog, text, type Field } from '../parts/form';
import { List } from '../parts/list';
import { Copy, To } from '../parts/small';

const FIELDS: Field[] = [{ name: 'name', label: 'Name', placeholder: 'web' }, { name: 'description', label: 'Description', optional: true }];

export function SecurityGroups() {
  const { things, loading, error } = useThings('security-groups');
  const ports = useThings('ports').things;
  const ask = useAsk();
  const [open, setOpen] = useState(false);
  const used = (id: string) => ports.filter((port) => port.security_groups.includes(id)).length;
  return (
    <>
      <List
        title="Security groups"
        one="security group"
        things={things}
        loading={loading}
        error={error}
        id={(group) => group.id}
        name={(group) => group.name}
        create={{ label: 'Create security group', go: () => setOpen(true) }}
        columns={[
          { id: 'name', header: 'Name', cell: (group) => <To to={`/security-groups/${group.id}`}>{group.name}</To>, by: (group) => group.name },
          { id: 'rules', header: 'Rules', cell: (group) => group.security_group_rules.length, by: (group) => group.security_group_rules.length },
          { id: 'used', header: 'Ports that have it', cell: (group) => used(group.id), by: (group) => used(group.id) },
          { id: 'description', header: 'Description', cell: (group) => group.description || '–', by: (group) => group.description },
          { id: 'id', header: 'Id', cell: (group) => <Copy text={group.id} /> },
        ]}
        actions={[
          {
            id: 'delete', label: 'Delete', danger: 'Its rules go with it.',
            can: (group) => (group.name === 'default' ? 'Every project has the group default.' : used(group.id) > 0 ? `${used(group.id)} ports have it.` : true),
            command: (group) => openstack('security group delete', [], group.id),
            run: (group) => ask('network', `/v2.0/security-groups/${group.id}`, { method: 'DELETE' }),
          },
        ]}
      />
      {open && (
        <FormDialog
          title="Create a security group"
          button="Create"
          fields={FIELDS}
          close={() => setOpen(false)}
          done={(values) => `The security group ${text(values, 'name')} is there`}
          command={(values) => openstack('security group create', [['description', text(values, 'description')]], text(values, 'name'))}
          submit={(values) => ask('network', '/v2.0/security-groups', { method: 'POST', body: { security_group: { name: text(values, 'name'), description: text(values, 'description') } } })}
        />
      )}
    </>
  );
}
