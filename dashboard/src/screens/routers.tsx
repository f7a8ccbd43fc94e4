// Routers: between the project's networks and to the outside.
import { useState } from 'react';
import { openstack } from '../cloud/cli';
import { useAsk, useThings } from '../cloud/session';
import { FormDialog, text, type Field } from '../parts/form';
import { List } from '../parts/list';
import { Status, To } from '../parts/small';

export function Routers() {
  const { things, loading, error } = useThings('routers');
  const networks = useThings('networks').things;
  const ask = useAsk();
  const [open, setOpen] = useState(false);
  const external = networks.filter((network) => network['router:external']);
  const fields: Field[] = [
    { name: 'name', label: 'Name', placeholder: 'edge' },
    { name: 'network', label: 'External network', kind: 'select', optional: true, initial: external.length === 1 ? external[0]!.id : '', hint: 'The way to the outside; floating IPs come from it.', choices: [{ value: '', label: 'None' }, ...external.map((network) => ({ value: network.id, label: network.name }))] },
  ];
  const nameOf = (id: string | undefined) => networks.find((network) => network.id === id)?.name ?? id;
  return (
    <>
      <List
        title="Routers"
        one="router"
        things={things}
        loading={loading}
        error={error}
        id={(router) => router.id}
        name={(router) => router.name || router.id}
        create={{ label: 'Create router', go: () => setOpen(true) }}
        columns={[
          { id: 'name', header: 'Name', cell: (router) => <To to={`/routers/${router.id}`}>{router.name || router.id}</To>, by: (router) => router.name },
          { id: 'status', header: 'Status', cell: (router) => <Status status={router.status} />, by: (router) => router.status },
          { id: 'network', header: 'External network', cell: (router) => nameOf(router.external_gateway_info?.network_id) ?? 'None', by: (router) => nameOf(router.external_gateway_info?.network_id) ?? '' },
          { id: 'address', header: 'External address', cell: (router) => router.external_gateway_info?.external_fixed_ips?.map((ip) => ip.ip_address).join(', ') || '–' },
        ]}
        actions={[{ id: 'delete', label: 'Delete', danger: 'It can only be deleted when no network is connected to it.', can: () => true, command: (router) => openstack('router delete', [], router.id), run: (router) => ask('network', `/v2.0/routers/${router.id}`, { method: 'DELETE' }) }]}
      />
      {open && (
        <FormDialog
          title="Create a router"
          button="Create"
          fields={fields}
          close={() => setOpen(false)}
          done={(values) => `The router ${text(values, 'name')} is there`}
          command={(values) => openstack('router create', [['external-gateway', nameOf(text(values, 'network')) as string]], text(values, 'name'))}
          submit={(values) => ask('network', '/v2.0/routers', { method: 'POST', body: { router: { name: text(values, 'name'), ...(text(values, 'network') && { external_gateway_info: { network_id: text(values, 'network') } }) } } })}
        />
      )}
    </>
  );
}
