// The network of a project as a graph: outside, routers, networks, servers, from left to right.
import { layOut, type Graph, type Spot } from './graph';
import type { FloatingIp, Network, Port, Router, Server, Subnet } from './kinds';

export interface Parts {
  networks: Network[];
  subnets: Subnet[];
  ports: Port[];
  routers: Router[];
  servers: Server[];
  floating: FloatingIp[];
}
export function graphOf({ networks, subnets, ports, routers, servers, floating }: Parts): Graph {
  const spots: Omit<Spot, 'x' | 'y'>[] = [];
  const lines = new Map<string, Graph['lines'][number]>();
  const used = new Set(routers.map((router) => router.external_gateway_info?.network_id));
  const ranges = (id: string) => subnets.filter((subnet) => subnet.network_id === id).map((subnet) => subnet.cidr).join(', ');
  for (const network of networks) {
    const external = network['router:external'];
    const connected = ports.some((port) => port.network_id === network.id);
    if (external && !used.has(network.id) && !connected && networks.length > 1) continue;
    spots.push({ id: network.id, kind: external ? 'external' : 'network', name: network.name || network.id, detail: ranges(network.id) || 'no subnet', to: `/networks/${network.id}` });
  }
  for (const router of routers) {
    spots.push({ id: router.id, kind: 'router', name: router.name || router.id, detail: router.external_gateway_info?.external_fixed_ips?.[0]?.ip_address ?? 'no gateway', to: `/routers/${router.id}` });
    const outside = router.external_gateway_info?.network_id;
    if (outside) lines.set(`${outside}-${router.id}`, { id: `${outside}-${router.id}`, from: outside, to: router.id });
  }
  for (const server of servers) {
    const own = ports.filter((port) => port.device_id === server.id);
    const address = own[0]?.fixed_ips[0]?.ip_address ?? Object.values(server.addresses)[0]?.[0]?.addr;
    const outside = floating.find((ip) => own.some((port) => port.id === ip.port_id))?.floating_ip_address;
    const mood = server.status === 'ERROR' ? 'bad' : server['OS-EXT-STS:task_state'] ? 'busy' : undefined;
    spots.push({ id: server.id, kind: 'server', name: server.name, detail: [address ?? server.status.toLowerCase(), outside].filter(Boolean).join(' · '), mood, to: `/instances/${server.id}` });
  }
  const known = new Set(spots.map((spot) => spot.id));
  for (const port of ports) {
    if (!known.has(port.device_id) || !known.has(port.network_id) || port.device_owner === 'network:router_gateway') continue;
    const inward = port.device_owner.startsWith('network:router');
    const [from, to] = inward ? [port.device_id, port.network_id] : [port.network_id, port.device_id];
    lines.set(`${from}-${to}`, { id: `${from}-${to}`, from, to });
  }
  return layOut(spots, [...lines.values()]);
}
