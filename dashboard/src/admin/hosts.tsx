// Hosts: where servers run, how full they are, and whether they take new ones.
import Box from '@cloudscape-design/components/box';
import { useQueries } from '@tanstack/react-query';
import { openstack } from '../cloud/cli';
import { COMPUTE, type Host } from '../cloud/kinds';
import { useAsk, useHere, useThings } from '../cloud/session';
import { mib } from '../cloud/words';
import { List, type Doable } from '../parts/list';
import { Status } from '../parts/small';
import { AdminOnly } from './only';

export const Hosts = () => <AdminOnly><HostList /></AdminOnly>;

type Room = Record<string, { total: number; used: number }>;

function HostList() {
  const { things, loading, error } = useThings('hosts');
  const ask = useAsk();
  const { project } = useHere();
  const rooms = useQueries({
    queries: things.slice(0, 50).map((host) => ({
      queryKey: [project.id, 'room', host.id],
      queryFn: async (): Promise<Room> => {
        const at = `/resource_providers/${host.id}`;
        const [stock, used] = await Promise.all([
          ask<{ inventories: Record<string, { total: number; reserved: number; allocation_ratio: number }> }>('placement', `${at}/inventories`),
          ask<{ usages: Record<string, number> }>('placement', `${at}/usages`),
        ]);
        return Object.fromEntries(Object.entries(stock.inventories).map(([name, { total, reserved, allocation_ratio }]) => [name, { total: Math.floor((total - reserved) * allocation_ratio), used: used.usages[name] ?? 0 }]));
      },
      refetchInterval: 15_000,
      retry: false,
    })),
  });
  const roomOf = (host: Host, name: string) => rooms[things.findIndex((one) => one.id === host.id)]?.data?.[name];
  const cell = (host: Host, name: string, show: (value: number) => string) => {
    const room = roomOf(host, name);
    return room ? `${show(room.used)} of ${show(room.total)}` : <Box color="text-body-secondary">…</Box>;
  };
  const set = (host: Host, status: string) => ask('compute', `/v2.1/os-services/${host.service.id}`, { method: 'PUT', version: COMPUTE, body: { status } });
  const actions: Doable<Host>[] = [
    { id: 'disable', label: 'Take no new instances', can: (host) => host.status === 'enabled' || 'It takes none already.', command: (host) => openstack('compute service set', [['disable', true]], host.service.host, 'nova-compute'), run: (host) => set(host, 'disabled'), danger: 'What runs there goes on.' },
    { id: 'enable', label: 'Take new instances', can: (host) => host.status !== 'enabled' || 'It takes them already.', command: (host) => openstack('compute service set', [['enable', true]], host.service.host, 'nova-compute'), run: (host) => set(host, 'enabled') },
  ];
  return (
    <List
      title="Hosts"
      one="host"
      things={things}
      loading={loading}
      error={error}
      id={(host) => host.id}
      name={(host) => host.hypervisor_hostname}
      actions={actions}
      columns={[
        { id: 'name', header: 'Name', cell: (host) => host.hypervisor_hostname, by: (host) => host.hypervisor_hostname },
        { id: 'state', header: 'State', cell: (host) => <Status status={host.state} />, by: (host) => host.state },
        { id: 'status', header: 'New instances', cell: (host) => (host.status === 'enabled' ? 'Takes them' : 'Takes none'), by: (host) => host.status },
        { id: 'vcpus', header: 'vCPUs', cell: (host) => cell(host, 'VCPU', String), by: (host) => roomOf(host, 'VCPU')?.used ?? 0 },
        { id: 'ram', header: 'Memory', cell: (host) => cell(host, 'MEMORY_MB', mib), by: (host) => roomOf(host, 'MEMORY_MB')?.used ?? 0 },
        { id: 'disk', header: 'Disk', cell: (host) => cell(host, 'DISK_GB', (value) => `${value} GiB`), by: (host) => roomOf(host, 'DISK_GB')?.used ?? 0 },
        { id: 'type', header: 'Type', cell: (host) => host.hypervisor_type, by: (host) => host.hypervisor_type },
      ]}
    />
  );
}
