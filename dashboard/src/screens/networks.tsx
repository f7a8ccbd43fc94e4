// Networks, with their first subnet made along.
import { useState } from 'react';
import { wrongCidr } from '../cloud/check';
import { openstack } from '../cloud/cli';
import { useAsk, useHere, useThings } from '../cloud/session';
import { flag, FormDialog, text, type Field } from '../parts/form';
import { List } from '../parts/list';
import { Status, To } from '../parts/small';

const FIELDS: Field[] = [
  { name: 'name', label: 'Name', placeholder: 'app-net' },
  { name: 'cidr', label: 'Subnet', initial: '10.10.0.0/24', placeholder: '10.10.0.0/24', hint: 'The range its addresses come from.', wrong: wrongCidr },
  { name: 'dhcp', label: 'Hand out addresses by DHCP', kind: 'check', initial: true },
];

export function Networks() {
  const { things, loading, error } = useThings('networks');
  const subnets = useThings('subnets').things;
  const { project, isAdmin } = useHere();
  const ask = useAsk();
  const [open, setOpen] = useState(false);
  const ranges = (id: string) => subnets.filter((subnet) => subnet.network_id === id).map((subnet) => subnet.cidr).join(', ');
  return (
    <>
      <List
        title="Networks"
        one="network"
        things={things}
        loading={loading}
        error={error}
        id={(network) => network.id}
        name={(network) => network.name || network.id}
        create={{ label: 'Create network', go: () => setOpen(true) }}
        columns={[
          { id: 'name', header: 'Name', cell: (network) => <To to={`/networks/${network.id}`}>{network.name || network.id}</To>, by: (network) => network.name },
          { id: 'status', header: 'Status', cell: (network) => <Status status={network.status} />, by: (network) => network.status },
          { id: 'subnets', header: 'Subnets', cell: (network) => ranges(network.id) || '–', by: (network) => ranges(network.id) },
          { id: 'kind', header: 'Kind', cell: (network) => (network['router:external'] ? 'External' : network.shared ? 'Shared' : 'Own'), by: (network) => String(network['router:external']) },
          { id: 'mtu', header: 'MTU', cell: (network) => network.mtu, by: (network) => network.mtu },
        ]}
        actions={[
          {
            id: 'delete', label: 'Delete', danger: 'Its subnets go with it. It can only be deleted when nothing is connected to it.',
            can: (network) => network.project_id === project.id || isAdmin || 'It belongs to another project.',
            command: (network) => openstack('network delete', [], network.id),
            run: (network) => ask('network', `/v2.0/networks/${network.id}`, { method: 'DELETE' }),
          },
        ]}
      />
      {open && (
        <FormDialog
          title="Create a network"
          button="Create"
          fields={FIELDS}
          close={() => setOpen(false)}
          done={(values) => `The network ${text(values, 'name')} is there`}
          command={(values) => {
            const name = text(values, 'name');
            return `${openstack('network create', [], name)}\n${openstack('subnet create', [['network', name || 'NAME'], ['subnet-range', text(values, 'cidr')], ['no-dhcp', !flag(values, 'dhcp')]], `${name || 'NAME'}-subnet`)}`;
          }}
          submit={async (values) => {
            const name = text(values, 'name');
            const { network } = await ask<{ network: { id: string } }>('network', '/v2.0/networks', { method: 'POST', body: { network: { name } } });
            const cidr = text(values, 'cidr');
            try {
              await ask('network', '/v2.0/subnets', { method: 'POST', body: { subnet: { network_id: network.id, name: `${name}-subnet`, cidr, ip_version: cidr.includes(':') ? 6 : 4, enable_dhcp: flag(values, 'dhcp') } } });
            } catch (why) {
              await ask('network', `/v2.0/networks/${network.id}`, { method: 'DELETE' }).catch(() => {});
              throw why;
            }
          }}
        />
      )}
    </>
  );
}
