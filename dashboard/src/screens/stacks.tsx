// Stacks: things that are made, changed and deleted together, from a template.
import { useThings } from '../cloud/session';
import { updateRefused } from '../cloud/stacks';
import { openstack } from '../cloud/cli';
import type { Stack } from '../cloud/kinds';
import { List, type Doable } from '../parts/list';
import { Ago, Copy, Status, To, useGo } from '../parts/small';
import { useStackActions } from '../parts/stacks';

export function Stacks() {
  const { things, loading, error } = useThings('stacks');
  const go = useGo();
  const update: Doable<Stack> = {
    id: 'update', label: 'Update', opens: true, can: (stack) => updateRefused(stack) ?? true,
    command: (stack) => openstack('stack update', [['existing', true], ['template', 'FILE']], stack.stack_name),
    run: async (stack) => go(`/stacks/${stack.id}/update`),
  };
  return (
    <List
      title="Stacks"
      one="stack"
      things={things}
      loading={loading}
      error={error}
      id={(stack) => stack.id}
      name={(stack) => stack.stack_name}
      create={{ label: 'Create stack', go: () => go('/stacks/create') }}
      actions={[update, ...useStackActions()]}
      columns={[
        { id: 'name', header: 'Name', cell: (stack) => <To to={`/stacks/${stack.id}`}>{stack.stack_name}</To>, by: (stack) => stack.stack_name, width: 140 },
        { id: 'status', header: 'Status', cell: (stack) => <Status status={stack.stack_status} />, by: (stack) => stack.stack_status, width: 190 },
        { id: 'description', header: 'Description', cell: (stack) => stack.description, by: (stack) => stack.description },
        { id: 'created', header: 'Created', cell: (stack) => <Ago at={stack.creation_time} />, by: (stack) => stack.creation_time },
        { id: 'updated', header: 'Updated', cell: (stack) => <Ago at={stack.updated_time} />, by: (stack) => stack.updated_time ?? '' },
        { id: 'id', header: 'Id', cell: (stack) => <Copy text={stack.id} /> },
      ]}
    />
  );
}
