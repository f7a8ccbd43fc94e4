// Floating IPs: addresses of the outside that follow an instance.
import { useState } from 'react';
import { openstack } from '../cloud/cli';
import type { FloatingIp } from '../cloud/kinds';
import { useAsk, useThings } from '../cloud/session';
import { FormDialog, text, type Field } from '../parts/form';
import { List, type Doable } from '../parts/list';
import { Copy, Status, To } from '../parts/small';

export function FloatingIps() {
  const { things, loading, error } = useThings('floatingips');
  const networks = useThings('networks').things;
  const ports = useThings('ports').things;
  const servers = useThings('servers').things;
  const ask = useAsk();
  const [open, setOpen] = useState(false);
  const [chosen, setChosen] = useState<FloatingIp>();
  const external = networks.filter((network) => network['router:external']);
  const nameOf = (id: string) => networks.find((network) => network.id === id)?.name ?? id;
  const serverOf = (ip: FloatingIp) => servers.find((server) => server.id === ports.find((port) => port.id === ip.port_id)?.device_id);
  const places = ports
    .filter((port) => port.device_owner.startsWith('compute:') && port.fixed_ips.length > 0)
    .map((port) => ({ value: port.id, label: servers.find((server) => server.id === port.device_id)?.name ?? port.device_id, description: `${nameOf(port.network_id)} · ${port.fixed_ips[0]?.ip_address}` }));
  const createFields: Field[] = [
    { name: 'network', label: 'External network', kind: 'select', initial: external[0]?.id ?? '', choices: external.map((network) => ({ value: network.id, label: network.name })) },
    { name: 'port', label: 'For', kind: 'select', optional: true, initial: '', choices: [{ value: '', label: 'Nothing yet' }, ...places] },
    { name: 'description', label: 'Description', optional: true },
  ];
  const update = (ip: FloatingIp, port_id: string | null) => ask('network', `/v2.0/floatingips/${ip.id}`, { method: 'PUT', body: { floatingip: { port_id } } });
  const actions: Doable<FloatingIp>[] = [
    { id: 'associate', label: 'Give to an instance', opens: true, can: (ip) => !ip.port_id || 'It is given to one already. Take it away first.', command: (ip) => openstack('floating ip set', [['port', 'PORT']], ip.id), run: async (ip) => setChosen(ip) },
    { id: 'disassociate', label: 'Take away', danger: 'The instance is not reached by it any more.', can: (ip) => !!ip.port_id || 'It is given to no instance.', command: (ip) => openstack('floating ip unset', [['port', true]], ip.id), run: (ip) => update(ip, null) },
    { id: 'delete', label: 'Release', danger: 'Somebody else may get this address next.', can: () => true, command: (ip) => openstack('floating ip delete', [], ip.floating_ip_address), run: (ip) => ask('network', `/v2.0/floatingips/${ip.id}`, { method: 'DELETE' }) },
  ];
  return (
    <>
      <List
        title="Floating IPs"
        one="floating IP"
        things={things}
        loading={loading}
        error={error}
        id={(ip) => ip.id}
        name={(ip) => ip.floating_ip_address}
        create={{ label: 'Allocate floating IP', go: () => setOpen(true), why: external.length === 0 ? 'There is no external network.' : undefined }}
        actions={actions}
        columns={[
          { id: 'address', header: 'Address', cell: (ip) => <Copy text={ip.floating_ip_address} />, by: (ip) => ip.floating_ip_address },
          { id: 'status', header: 'Status', cell: (ip) => (ip.port_id ? <Status status={ip.status} /> : 'Not used'), by: (ip) => ip.status },
          { id: 'server', header: 'Instance', cell: (ip) => { const server = serverOf(ip); return server ? <To to={`/instances/${server.id}`}>{server.name}</To> : '–'; }, by: (ip) => serverOf(ip)?.name ?? '' },
          { id: 'fixed', header: 'Fixed IP', cell: (ip) => ip.fixed_ip_address ?? '–', by: (ip) => ip.fixed_ip_address ?? '' },
          { id: 'network', header: 'Network', cell: (ip) => nameOf(ip.floating_network_id), by: (ip) => nameOf(ip.floating_network_id) },
          { id: 'description', header: 'Description', cell: (ip) => ip.description || '–', by: (ip) => ip.description },
        ]}
      />
      {open && (
        <FormDialog
          title="Allocate a floating IP"
          button="Allocate"
          fields={createFields}
          close={() => setOpen(false)}
          done="The floating IP is there"
          command={(values) => openstack('floating ip create', [['port', text(values, 'port')], ['description', text(values, 'description')]], nameOf(text(values, 'network')))}
          submit={(values) => ask('network', '/v2.0/floatingips', { method: 'POST', body: { floatingip: { floating_network_id: text(values, 'network'), description: text(values, 'description'), ...(text(values, 'port') && { port_id: text(values, 'port') }) } } })}
        />
      )}
      {chosen && (
        <FormDialog
          title={`Give ${chosen.floating_ip_address} to an instance`}
          button="Give"
          fields={[{ name: 'port', label: 'Instance', kind: 'select', choices: places }]}
          close={() => setChosen(undefined)}
          done="The floating IP is given"
          command={(values) => openstack('floating ip set', [['port', text(values, 'port') || 'PORT']], chosen.floating_ip_address)}
          submit={(values) => update(chosen, text(values, 'port'))}
        />
      )}
    </>
  );
}
