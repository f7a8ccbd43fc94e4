import { expect, it } from 'vitest';
import { graphOf, type Parts } from './topology';

const parts = {
  networks: [{ id: 'out', name: 'public', 'router:external': true }, { id: 'net', name: 'app', 'router:external': false }],
  subnets: [{ network_id: 'net', cidr: '10.0.0.0/24' }],
  routers: [{ id: 'r', name: 'edge', external_gateway_info: { network_id: 'out', external_fixed_ips: [{ ip_address: '172.24.4.9' }] } }],
  ports: [
    { id: 'p1', device_id: 'r', device_owner: 'network:router_interface', network_id: 'net', fixed_ips: [] },
    { id: 'p2', device_id: 's', device_owner: 'compute:nova', network_id: 'net', fixed_ips: [{ ip_address: '10.0.0.5' }] },
    { id: 'p3', device_id: 'unknown', device_owner: 'compute:nova', network_id: 'net', fixed_ips: [] },
  ],
  servers: [{ id: 's', name: 'web', status: 'ERROR', addresses: {} }],
  floating: [{ port_id: 'p2', floating_ip_address: '172.24.4.20' }],
} as unknown as Parts;

it('draws outside, router, network and server in this order', () => {
  const graph = graphOf(parts);
  const x = (id: string) => graph.spots.find((spot) => spot.id === id)!.x;
  expect(x('out') < x('r') && x('r') < x('net') && x('net') < x('s')).toBe(true);
  expect(graph.lines.map((line) => line.id).sort()).toEqual(['net-s', 'out-r', 'r-net']);
  const server = graph.spots.find((spot) => spot.id === 's')!;
  expect([server.mood, server.detail]).toEqual(['bad', '10.0.0.5 · 172.24.4.20']);
});
