// Users, and their roles on projects.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { openstack } from '../cloud/cli';
import type { User } from '../cloud/kinds';
import { useAsk, useHere, useThings } from '../cloud/session';
import { FormDialog, text, type Field } from '../parts/form';
import { List, type Doable } from '../parts/list';
import { Copy, Status } from '../parts/small';
import { AdminOnly } from './only';

export const Users = () => <AdminOnly><UserList /></AdminOnly>;

function UserList() {
  const { things, loading, error } = useThings('users');
  const projects = useThings('projects').things;
  const { project, session } = useHere();
  const ask = useAsk();
  const [open, setOpen] = useState(false);
  const [granted, setGranted] = useState<User>();
  const roles = useQuery({ queryKey: [project.id, 'role-names'], queryFn: () => ask<{ roles: { id: string; name: string }[] }>('identity', '/v3/roles').then((answer) => answer.roles), staleTime: 300_000 }).data ?? [];
  const projectName = (id?: string | null) => projects.find((one) => one.id === id)?.name ?? '–';
  const roleChoices = roles.filter((role) => ['admin', 'manager', 'member', 'reader'].includes(role.name)).map((role) => ({ value: role.id, label: role.name }));
  const projectChoices = projects.map((one) => ({ value: one.id, label: one.name, description: one.description }));
  const member = roles.find((role) => role.name === 'member')?.id ?? '';
  const fields: Field[] = [
    { name: 'name', label: 'Name' },
    { name: 'password', label: 'Password', kind: 'password', wrong: (value) => (value.length < 8 ? 'At least 8 characters.' : undefined) },
    { name: 'project', label: 'Project', kind: 'select', optional: true, choices: [{ value: '', label: 'None' }, ...projectChoices], initial: '' },
    { name: 'role', label: 'Role there', kind: 'select', initial: member, choices: roleChoices, asked: (values) => !!values.project },
  ];
  const roleName = (id: string) => roles.find((role) => role.id === id)?.name ?? 'ROLE';
  const grant = (user: string, project: string, role: string) => ask('identity', `/v3/projects/${project}/users/${user}/roles/${role}`, { method: 'PUT' });
  const enable = (user: User, enabled: boolean) => ask('identity', `/v3/users/${user.id}`, { method: 'PATCH', body: { user: { enabled } } });
  const notMe = (user: User) => user.id !== session.user.id || 'That is you.';
  const actions: Doable<User>[] = [
    { id: 'grant', label: 'Give a role', opens: true, can: () => true, command: (user) => openstack('role add', [['user', user.name], ['project', 'PROJECT']], 'ROLE'), run: async (user) => setGranted(user) },
    { id: 'disable', label: 'Disable', danger: 'Their sessions end at once.', can: (user) => (user.enabled ? notMe(user) : 'It is disabled already.'), command: (user) => openstack('user set', [['disable', true]], user.name), run: (user) => enable(user, false) },
    { id: 'enable', label: 'Enable', can: (user) => !user.enabled || 'It is enabled already.', command: (user) => openstack('user set', [['enable', true]], user.name), run: (user) => enable(user, true) },
    { id: 'delete', label: 'Delete', danger: 'Their roles and credentials go with them. What they made stays in its projects.', can: notMe, command: (user) => openstack('user delete', [], user.id), run: (user) => ask('identity', `/v3/users/${user.id}`, { method: 'DELETE' }) },
  ];
  return (
    <>
      <List
        title="Users"
        one="user"
        things={things}
        loading={loading}
        error={error}
        id={(user) => user.id}
        name={(user) => user.name}
        create={{ label: 'Create user', go: () => setOpen(true) }}
        actions={actions}
        columns={[
          { id: 'name', header: 'Name', cell: (user) => user.name, by: (user) => user.name },
          { id: 'enabled', header: 'Status', cell: (user) => <Status status={user.enabled ? 'enabled' : 'disabled'} />, by: (user) => String(user.enabled) },
          { id: 'project', header: 'Default project', cell: (user) => projectName(user.default_project_id), by: (user) => projectName(user.default_project_id) },
          { id: 'domain', header: 'Domain', cell: (user) => user.domain_id, by: (user) => user.domain_id },
          { id: 'id', header: 'Id', cell: (user) => <Copy text={user.id} /> },
        ]}
      />
      {open && (
        <FormDialog
          title="Create a user"
          button="Create"
          fields={fields}
          close={() => setOpen(false)}
          done={(values) => `The user ${text(values, 'name')} is there`}
          command={(values) => {
            const project = projectChoices.find((one) => one.value === values.project)?.label;
            const make = openstack('user create', [['password-prompt', true], ['project', project]], text(values, 'name'));
            return project ? `${make}\n${openstack('role add', [['user', text(values, 'name') || 'NAME'], ['project', project]], roleName(text(values, 'role')))}` : make;
          }}
          submit={async (values) => {
            const project = text(values, 'project');
            const { user } = await ask<{ user: User }>('identity', '/v3/users', { method: 'POST', body: { user: { name: text(values, 'name'), password: values.password, domain_id: 'default', ...(project && { default_project_id: project }) } } });
            if (project) await grant(user.id, project, text(values, 'role'));
          }}
        />
      )}
      {granted && (
        <FormDialog
          title={`Give ${granted.name} a role`}
          button="Give"
          fields={[{ name: 'project', label: 'Project', kind: 'select', choices: projectChoices }, { name: 'role', label: 'Role', kind: 'select', initial: member, choices: roleChoices }]}
          close={() => setGranted(undefined)}
          done={`${granted.name} has the role`}
          command={(values) => openstack('role add', [['user', granted.name], ['project', projectName(text(values, 'project'))]], roleName(text(values, 'role')))}
          submit={(values) => grant(granted.id, text(values, 'project'), text(values, 'role'))}
        />
      )}
    </>
  );
}
