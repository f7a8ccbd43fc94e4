// One network: its subnets and what is connected to it.
import Alert from '@cloudscape-design/components/alert';
import Container from '@cloudscape-design/components/container';
import ContentLayout from '@cloudscape-design/components/content-layout';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import { useState } from 'react';
import { useParams } from 'react-router';
import { isAddress, wrongCidr } from '../cloud/check';
import { openstack } from '../cloud/cli';
import type { Port } from '../cloud/kinds';
import { useAsk, useHere, useThings } from '../cloud/session';
import { flag, FormDialog, text, type Field } from '../parts/form';
import { List } from '../parts/list';
import { Copy, Status, To } from '../parts/small';

export function NetworkPage() {
  const { id = '' } = useParams();
  const networks = useThings('networks');
  const subnets = useThings('subnets');
  const ports = useThings('ports');
  const servers = useThings('servers').things;
  const { project, isAdmin } = useHere();
  const ask = useAsk();
  const [open, setOpen] = useState(false);
  const network = networks.things.find((network) => network.id === id);
  if (networks.loading) return <StatusIndicator type="loading">Loading the network</StatusIndicator>;
  if (!network) return <Alert type="info" header="This network is not there any more">It was deleted, or it is in another project. <To to="/networks">All networks</To></Alert>;
  const foreign = network.project_id === project.id || isAdmin ? undefined : 'It belongs to another project.';
  const fields: Field[] = [
    { name: 'name', label: 'Name', initial: `${network.name}-subnet-${network.subnets.length + 1}` },
    { name: 'cidr', label: 'Range', placeholder: '10.20.0.0/24', wrong: wrongCidr },
    { name: 'gateway', label: 'Gateway', optional: true, hint: 'Without one: the first address of the range.', wrong: (value) => (isAddress(value) ? undefined : 'This is no address.') },
    { name: 'dns', label: 'Name servers', optional: true, hint: 'Addresses, by commas.', wrong: (value) => (value.split(',').every((one) => isAddress(one.trim())) ? undefined : 'Addresses, by commas.') },
    { name: 'dhcp', label: 'Hand out addresses by DHCP', kind: 'check', initial: true },
  ];
  const dns = (value: string) => value.split(',').map((one) => one.trim()).filter(Boolean);
  const user = (port: Port) => {
    const server = servers.find((server) => server.id === port.device_id);
    if (server) return <To to={`/instances/${server.id}`}>{server.name}</To>;
    if (port.device_owner.startsWith('network:router')) return <To to={`/routers/${port.device_id}`}>Router</To>;
    return port.device_owner || '–';
  };
  return (
    <ContentLayout header={<Header variant="h1" description={<Status status={network.status} />}>{network.name || network.id}</Header>}>
      <SpaceBetween size="l">
        <Container>
          <KeyValuePairs columns={4} items={[{ label: 'Id', value: <Copy text={network.id} /> }, { label: 'Kind', value: network['router:external'] ? 'External' : network.shared ? 'Shared' : 'Own' }, { label: 'MTU', value: network.mtu }, { label: 'Up', value: network.admin_state_up ? 'Yes' : 'No' }]} />
        </Container>
        <List
          variant="container"
          title="Subnets"
          one="subnet"
          things={subnets.things.filter((subnet) => subnet.network_id === id)}
          loading={subnets.loading}
          id={(subnet) => subnet.id}
          name={(subnet) => subnet.name || subnet.cidr}
          create={{ label: 'Create subnet', go: () => setOpen(true), why: foreign }}
          columns={[
            { id: 'name', header: 'Name', cell: (subnet) => subnet.name || '–', by: (subnet) => subnet.name },
            { id: 'cidr', header: 'Range', cell: (subnet) => <Copy text={subnet.cidr} />, by: (subnet) => subnet.cidr },
            { id: 'gateway', header: 'Gateway', cell: (subnet) => subnet.gateway_ip ?? 'None', by: (subnet) => subnet.gateway_ip ?? '' },
            { id: 'dhcp', header: 'DHCP', cell: (subnet) => (subnet.enable_dhcp ? 'Yes' : 'No') },
            { id: 'dns', header: 'Name servers', cell: (subnet) => subnet.dns_nameservers.join(', ') || '–' },
          ]}
          actions={[{ id: 'delete', label: 'Delete', danger: 'It can only be deleted when no address of it is used.', can: () => foreign ?? true, command: (subnet) => openstack('subnet delete', [], subnet.id), run: (subnet) => ask('network', `/v2.0/subnets/${subnet.id}`, { method: 'DELETE' }) }]}
        />
        <List
          variant="container"
          title="Ports"
          one="port"
          things={ports.things.filter((port) => port.network_id === id)}
          loading={ports.loading}
          id={(port) => port.id}
          name={(port) => port.name || port.fixed_ips[0]?.ip_address || port.id}
          empty="Nothing is connected to it."
          columns={[
            { id: 'address', header: 'Address', cell: (port) => port.fixed_ips.map((ip) => ip.ip_address).join(', ') || '–', by: (port) => port.fixed_ips[0]?.ip_address ?? '' },
            { id: 'user', header: 'Used by', cell: user, by: (port) => port.device_owner },
            { id: 'mac', header: 'MAC address', cell: (port) => <span className="mono">{port.mac_address}</span> },
            { id: 'status', header: 'Status', cell: (port) => <Status status={port.status} />, by: (port) => port.status },
          ]}
          actions={[{ id: 'delete', label: 'Delete', danger: 'What uses it loses its connection.', can: (port) => (port.device_owner.startsWith('network:') ? 'A router or the network itself uses it.' : true), command: (port) => openstack('port delete', [], port.id), run: (port) => ask('network', `/v2.0/ports/${port.id}`, { method: 'DELETE' }) }]}
        />
      </SpaceBetween>
      {open && (
        <FormDialog
          title={`Create a subnet in ${network.name}`}
          button="Create"
          fields={fields}
          close={() => setOpen(false)}
          done="The subnet is there"
          command={(values) => openstack('subnet create', [['network', network.name || id], ['subnet-range', text(values, 'cidr') || 'RANGE'], ['gateway', text(values, 'gateway')], ['dns-nameserver', dns(text(values, 'dns'))], ['no-dhcp', !flag(values, 'dhcp')]], text(values, 'name'))}
          submit={(values) => {
            const cidr = text(values, 'cidr');
            const gateway = text(values, 'gateway');
            const subnet = { network_id: id, name: text(values, 'name'), cidr, ip_version: cidr.includes(':') ? 6 : 4, enable_dhcp: flag(values, 'dhcp'), dns_nameservers: dns(text(values, 'dns')), ...(gateway && { gateway_ip: gateway }) };
            return ask('network', '/v2.0/subnets', { method: 'POST', body: { subnet } });
          }}
        />
      )}
    </ContentLayout>
  );
}
