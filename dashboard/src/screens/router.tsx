// One router and the subnets it connects.
import Alert from '@cloudscape-design/components/alert';
import Button from '@cloudscape-design/components/button';
import Container from '@cloudscape-design/components/container';
import ContentLayout from '@cloudscape-design/components/content-layout';
import Header from '@cloudscape-design/components/header';
import KeyValuePairs from '@cloudscape-design/components/key-value-pairs';
import SpaceBetween from '@cloudscape-design/components/space-between';
import StatusIndicator from '@cloudscape-design/components/status-indicator';
import { useState } from 'react';
import { useParams } from 'react-router';
import { openstack } from '../cloud/cli';
import { useAsk, useHere, useThings } from '../cloud/session';
import { FormDialog, text, type Field } from '../parts/form';
import { List } from '../parts/list';
import { Copy, Status, To } from '../parts/small';

export function RouterPage() {
  const { id = '' } = useParams();
  const routers = useThings('routers');
  const ports = useThings('ports');
  const networks = useThings('networks').things;
  const subnets = useThings('subnets').things;
  const { mayWrite } = useHere();
  const ask = useAsk();
  const [open, setOpen] = useState<'interface' | 'gateway'>();
  const router = routers.things.find((router) => router.id === id);
  if (routers.loading) return <StatusIndicator type="loading">Loading the router</StatusIndicator>;
  if (!router) return <Alert type="info" header="This router is not there any more">It was deleted, or it is in another project. <To to="/routers">All routers</To></Alert>;
  const inside = ports.things.filter((port) => port.device_id === id && port.device_owner !== 'network:router_gateway');
  const connected = new Set(inside.flatMap((port) => port.fixed_ips.map((ip) => ip.subnet_id)));
  const nameOf = (network: string) => networks.find((one) => one.id === network)?.name || network;
  const free = subnets.filter((subnet) => !connected.has(subnet.id) && subnet.gateway_ip && !networks.find((network) => network.id === subnet.network_id)?.['router:external']);
  const external = networks.filter((network) => network['router:external']);
  const gateway = router.external_gateway_info;
  const subnetField: Field[] = [{ name: 'subnet', label: 'Subnet', kind: 'select', choices: free.map((subnet) => ({ value: subnet.id, label: subnet.name || subnet.cidr, description: `${nameOf(subnet.network_id)} · ${subnet.cidr}` })) }];
  const gatewayField: Field[] = [{ name: 'network', label: 'External network', kind: 'select', optional: true, initial: gateway?.network_id ?? '', choices: [{ value: '', label: 'None' }, ...external.map((network) => ({ value: network.id, label: network.name }))] }];
  return (
    <ContentLayout
      header={
        <Header
          variant="h1"
          description={<Status status={router.status} />}
          actions={<Button disabled={!mayWrite} disabledReason="You may only look in this project: your role is reader." onClick={() => setOpen('gateway')}>{gateway ? 'Change gateway' : 'Set gateway'}</Button>}
        >
          {router.name || router.id}
        </Header>
      }
    >
      <SpaceBetween size="l">
        <Container>
          <KeyValuePairs
            columns={3}
            items={[{ label: 'Id', value: <Copy text={router.id} /> }, { label: 'External network', value: gateway ? nameOf(gateway.network_id) : 'None' }, { label: 'External address', value: gateway?.external_fixed_ips?.map((ip) => ip.ip_address).join(', ') || '–' }]}
          />
        </Container>
        <List
          variant="container"
          title="Interfaces"
          one="interface"
          things={inside}
          loading={ports.loading}
          id={(port) => port.id}
          name={(port) => port.fixed_ips[0]?.ip_address ?? port.id}
          create={{ label: 'Connect subnet', go: () => setOpen('interface') }}
          empty="It connects no subnet yet."
          columns={[
            { id: 'address', header: 'Address', cell: (port) => port.fixed_ips.map((ip) => ip.ip_address).join(', '), by: (port) => port.fixed_ips[0]?.ip_address ?? '' },
            { id: 'network', header: 'Network', cell: (port) => <To to={`/networks/${port.network_id}`}>{nameOf(port.network_id)}</To>, by: (port) => nameOf(port.network_id) },
            { id: 'subnet', header: 'Subnet', cell: (port) => port.fixed_ips.map((ip) => subnets.find((subnet) => subnet.id === ip.subnet_id)?.cidr ?? ip.subnet_id).join(', ') },
            { id: 'status', header: 'Status', cell: (port) => <Status status={port.status} /> },
          ]}
          actions={[
            {
              id: 'remove', label: 'Disconnect', danger: 'Its instances lose their way to other networks. A subnet with floating IPs stays connected.', can: () => true,
              command: (port) => openstack('router remove subnet', [], router.name || id, port.fixed_ips[0]?.subnet_id),
              run: (port) => ask('network', `/v2.0/routers/${id}/remove_router_interface`, { method: 'PUT', body: { port_id: port.id } }),
            },
          ]}
        />
      </SpaceBetween>
      {open === 'interface' && (
        <FormDialog
          title={`Connect a subnet to ${router.name}`}
          button="Connect"
          fields={subnetField}
          close={() => setOpen(undefined)}
          done="The subnet is connected"
          command={(values) => openstack('router add subnet', [], router.name || id, subnets.find((subnet) => subnet.id === values.subnet)?.name || text(values, 'subnet') || 'SUBNET')}
          submit={(values) => ask('network', `/v2.0/routers/${id}/add_router_interface`, { method: 'PUT', body: { subnet_id: text(values, 'subnet') } })}
        />
      )}
      {open === 'gateway' && (
        <FormDialog
          title={`The gateway of ${router.name}`}
          button="Save"
          fields={gatewayField}
          close={() => setOpen(undefined)}
          done="The gateway is set"
          command={(values) => (text(values, 'network') ? openstack('router set', [['external-gateway', nameOf(text(values, 'network'))]], router.name || id) : openstack('router unset', [['external-gateway', true]], router.name || id))}
          submit={(values) => ask('network', `/v2.0/routers/${id}`, { method: 'PUT', body: { router: { external_gateway_info: text(values, 'network') ? { network_id: text(values, 'network') } : null } } })}
        />
      )}
    </ContentLayout>
  );
}
