// A cloud of two simulated hosts for the tests: the real binary, on a free port, in a folder of its own.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const freePort = () =>
  new Promise<number>((done) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => done(port));
    });
  });

async function answers(url: string): Promise<void> {
  for (let tries = 0; tries < 150; tries += 1) {
    const good = await fetch(url).then((answer) => answer.ok, () => false);
    if (good) return;
    await new Promise((done) => setTimeout(done, 200));
  }
  throw new Error(`${url} does not answer`);
}

/** Whoever runs the cloud, by the public APIs. */
export class Operator {
  constructor(readonly origin: string, readonly token: string) {}

  static async signIn(origin: string, password: string): Promise<Operator> {
    const user = { name: 'admin', domain: { id: 'default' }, password };
    const scope = { project: { name: 'admin', domain: { id: 'default' } } };
    const answer = await fetch(`${origin}/identity/v3/auth/tokens`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify({ auth: { identity: { methods: ['password'], password: { user } }, scope } }) });
    return new Operator(origin, answer.headers.get('x-subject-token')!);
  }

  async call<T>(method: string, path: string, body?: unknown, type = 'application/json'): Promise<T> {
    const answer = await fetch(this.origin + path, { method, headers: { 'X-Auth-Token': this.token, ...(body !== undefined && { 'Content-Type': type }) }, body: type !== 'application/json' ? (body as BodyInit) : body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`);
    return (text ? JSON.parse(text) : undefined) as T;
  }
}

async function furnish(cloud: Operator): Promise<void> {
  for (const [name, vcpus, ram, disk] of [['m1.nano', 1, 128, 1], ['m1.small', 1, 2048, 20], ['m1.large', 4, 8192, 80], ['m1.giant', 128, 1048576, 10]] as const) {
    await cloud.call('POST', '/compute/v2.1/flavors', { flavor: { name, vcpus, ram, disk } });
  }
  const image = await cloud.call<{ id: string }>('POST', '/image/v2/images', { name: 'nephos-guest', disk_format: 'raw', container_format: 'bare', visibility: 'public' });
  await cloud.call('PUT', `/image/v2/images/${image.id}/file`, new Uint8Array(64 * 1024), 'application/octet-stream');
  const { network } = await cloud.call<{ network: { id: string } }>('POST', '/network/v2.0/networks', { network: { name: 'public', 'router:external': true, is_default: true, 'provider:network_type': 'flat', 'provider:physical_network': 'public' } });
  await cloud.call('POST', '/network/v2.0/subnets', { subnet: { network_id: network.id, name: 'public-subnet', cidr: '172.24.4.0/24', ip_version: 4, gateway_ip: '172.24.4.1', enable_dhcp: false } });
}

export default async function start(): Promise<() => void> {
  const folder = mkdtempSync(join(tmpdir(), 'nephos-dashboard-'));
  const port = await freePort();
  const config = join(folder, 'nephos.toml');
  writeFileSync(config, `[nephos]\nstate_dir = "state"\nlisten = "127.0.0.1:${port}"\n`);
  const binary = resolve(process.env.NEPHOS ?? '../target/debug/nephos');
  const cloud = spawn(binary, ['--config', config, 'up', '--simulate', '2'], { stdio: ['ignore', 'ignore', 'ignore'] });
  const stop = () => {
    cloud.kill('SIGTERM');
    cloud.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  };
  try {
    const origin = `http://127.0.0.1:${port}`;
    await answers(`${origin}/healthz`);
    const secrets = readFileSync(join(folder, 'state/secrets.toml'), 'utf8');
    const secret = (name: string) => new RegExp(`^${name} = "(.*)"`, 'm').exec(secrets)![1]!;
    process.env.NEPHOS_ORIGIN = origin;
    process.env.NEPHOS_ADMIN = secret('admin_password');
    await furnish(await Operator.signIn(origin, process.env.NEPHOS_ADMIN));
  } catch (why) {
    stop();
    throw why;
  }
  return stop;
}
